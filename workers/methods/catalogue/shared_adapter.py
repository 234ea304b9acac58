"""`adapter_shared`: one serial bottleneck for all layers, with a norm of its own in front of it in each of them.

The idea of WideNet (Xue et al. 2022, arXiv 2107.11817), there for whole layers trained from scratch: weights are
shared by all of them, norms are not, so that the shared part meets other representations in each layer. Certain: what
is shared and what is not. A choice: here the shared part is an adapter, and the norm is its own, not one of the base's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Ordinal
from search_spaces.presets.autopeft import sizes
from workers.methods.declaration.knob_kinds import top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.module_rates import module_rate
from workers.methods.declaration.needs import SUBLAYERS
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    size = Ordinal("size", sizes(model.shape.hidden_size)[1:])
    return Knobs((size, Categorical("activation", ("relu", "gelu", "tanh", "none")), *top_layers(model)))


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.bottleneck import Bottleneck, NormedBottleneck, adapt_feed_forward

    anatomy, device = base.description.anatomy, base.model.device
    shared = Bottleneck(anatomy.hidden_size, knobs["size"], 1.0, generator, knobs["activation"]).to(device)
    trained = {f"all.shared.{name}": value for name, value in shared.named_parameters()}
    for index in base.description.layer_range(knobs["top_layers"]):
        adapter = NormedBottleneck(anatomy.hidden_size, shared).to(device)
        adapt_feed_forward(anatomy, base.model.get_submodule(f"{anatomy.layers_path}.{index}"), adapter, None)
        trained |= {f"{index}.norm.{name}": value for name, value in adapter.norm.named_parameters()}
    return trained


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """One bottleneck, whatever the number of layers, and two vectors for each of them."""
    hidden, size = model.shape.hidden_size, int(knobs["size"])
    return 2 * hidden * size + size + hidden + 2 * hidden * int(knobs["top_layers"])


def _rate_factor(name: str, knobs: KnobValues) -> float:
    return module_rate(name, int(knobs["size"]), 1.0)


METHODS = (
    own_method(
        "adapter_shared",
        family="shared",
        summary="one serial bottleneck for all layers, each with a norm of its own in front",
        source="Xue et al. 2022, WideNet, arXiv 2107.11817",
        learning_rates=LearningRates(5e-5, 2e-3, 8e-4),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        hooks=OwnHooks(rate_factor=_rate_factor),
        mergeable=False,
        needs=(SUBLAYERS,),
    ),
)
