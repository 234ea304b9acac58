"""`llama_adapter`: prompts inside the top attention layers, read through a gate that starts closed.

Certain: y = Attn(q, K, V) + g·softmax(qK_pᵀ)V_p with keys and values of the prompt by the layer's own projections, a
softmax of its own, and g = 0 at the start, in the top layers. Choices, as in peft's `adaption_prompt`: one gate for a
layer, and no position in the prompt's keys. It is ours because peft's leaves the classification head untrained, and
knows no encoders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from search_spaces.parameters import Int
from search_spaces.priors import Bell
from workers.methods.declaration.knob_kinds import top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import SHARED_ATTENTION
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Anatomy, Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((Int("length", 1, 64, scale="log", prior=Bell(10, spread=0.4)), *top_layers(model)))


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.gated_prompt import GatedPrompt, add_gated_prompt, use_gated_prompts

    model = base.description
    trained: dict[str, nn.Parameter] = {}
    use_gated_prompts(base.model)
    for layer in model.layer_range(knobs["top_layers"]):
        sizes = (knobs["length"], model.anatomy.hidden_size)
        prompt = GatedPrompt(sizes, model.anatomy.head_size, _projections(base, layer), generator)
        attention = base.model.get_submodule(model.path(layer, model.anatomy.attention))
        add_gated_prompt(attention, prompt.to(base.model.device))
        trained |= {f"{layer}.{name}": value for name, value in prompt.named_parameters()}
    return trained


def _projections(base: Base, layer: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Keys and values of vectors [length, hidden] by a layer's own weights; a fused projection ends with the two."""
    key, value = (_linear(base.description, group) for group in ("key", "value"))

    def project(vectors: Tensor) -> tuple[Tensor, Tensor]:
        keys = base.model.get_submodule(base.description.path(layer, key.name))(vectors)
        if key is value:
            return _unfused(keys, base.description.anatomy)
        return keys, base.model.get_submodule(base.description.path(layer, value.name))(vectors)

    return project


def _unfused(projected: Tensor, anatomy: Anatomy) -> tuple[Tensor, Tensor]:
    """Keys and values of a fused projection [length, query + key + value]: one behind the other, or head by head."""
    if anatomy.fused_by_head:
        _, keys, values = projected.unflatten(-1, (anatomy.heads, 3, -1)).unbind(-2)
        return keys.flatten(-2), values.flatten(-2)
    narrow = anatomy.key_value_heads * anatomy.head_size
    _, keys, values = projected.split((projected.shape[-1] - 2 * narrow, narrow, narrow), dim=-1)
    return keys, values


def _linear(model: ModelDescription, group: str) -> Linear:
    return next(linear for linear in model.anatomy.linears if group in linear.groups)


METHODS = (
    own_method(
        "llama_adapter",
        family="prompt",
        summary="prompts in the top attention layers, read through a gate that starts closed",
        source="Zhang et al. 2023, LLaMA-Adapter, arXiv 2303.16199",
        learning_rates=LearningRates(5e-4, 1e-1, 1e-2),
        knobs=_knobs,
        install=_install,
        trainable_parameters=lambda model, knobs: (
            len(model.layer_range(knobs["top_layers"])) * (knobs["length"] * model.shape.hidden_size + 1)
        ),
        lowest_layer=lambda model, knobs: model.layer_range(knobs["top_layers"])[0],
        mergeable=False,
        needs=(SHARED_ATTENTION,),
    ),
)
