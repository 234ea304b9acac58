"""`pyra`: low-rank updates of a vision transformer that merges tokens which say the same, and so runs faster.

Certain: bipartite soft matching of r tokens in front of a layer, attention in proportion to what a token stands for,
and weights of what is merged by a factor of each token and a trained one of each channel. Choices: tokens are compared
by their hidden states, not by keys; the factor of a token is its product with one direction (D = 2 vectors a layer),
without PYRA's second activation; merging begins with the lowest layer that has an update. TempMe merges frames of a
video, too: there is no task on these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Int
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import IMAGES
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    patches = model.anatomy.positions - model.anatomy.special_tokens
    most = max(1, patches // max(model.anatomy.layers, 2))
    own = (rank(model), Int("merged", 1, most), Categorical("modulation", ("pyra", "none")), alpha())
    return Knobs((*own, *placement(model)), defaults={"merged": max(1, most // 2), "modulation": "pyra"})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.low_rank import LoraGroup
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.token_merging import TokenMerging

    model, scale = base.description, knobs["alpha"] / knobs["rank"]
    anatomy, modulated = model.anatomy, knobs["modulation"] == "pyra"

    def make(module: nn.Module, linear: Linear) -> LoraGroup:
        return LoraGroup(module, linear.transposed, 1, knobs["rank"], scale, generator)

    found = reweight(base, placed(model, knobs), make)
    merging, special, device = None, anatomy.special_tokens, next(base.model.parameters()).device
    for index in model.layer_range(knobs["top_layers"]):
        path = f"{anatomy.layers_path}.{index}"
        layer = base.model.get_submodule(path)
        merging = TokenMerging(anatomy.hidden_size, knobs["merged"], special, modulated, merging, generator).to(device)
        layer.token_merging = merging
        merging.watch(layer)
        found |= {f"{path}.token_merging.{name}": value for name, value in merging.named_parameters()}
    return found


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    vectors = 2 * model.anatomy.hidden_size * knobs["top_layers"] if knobs["modulation"] == "pyra" else 0
    return int(per_layer(two_factors)(model, knobs) + vectors)


METHODS = (
    own_method(
        "pyra",
        family="low-rank",
        summary="LoRA on a vision transformer whose layers merge tokens that say the same",
        source="Xiong et al. 2024, PYRA, arXiv 2403.09192; Bolya et al. 2023, ToMe",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        tasks=("image-classification",),
        mergeable=False,
        unchanged_at_start=False,
        needs=(IMAGES,),
    ),
)
