"""`iaa`: modules inserted into the layers, and modules aside of these that connect them.

Certain: modules inside of the layers and modules alongside, which make one pathway of what is trained, because inserted
ones alone are cut off from each other by frozen layers. Choices, as no code of the authors is public: the inserted
module is a bottleneck behind the layer or a LoRA of its queries and values; an aside module is a bottleneck that reads
what enters a layer and adds to what leaves it. With `inside: beside` the inserted bottlenecks read the frozen layers
and hand their sum on along the aside path alone: no gradient enters the base, and nothing of it is kept for the way
back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Ordinal
from workers.methods.declaration.knob_kinds import top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import KNOWN_PARTS, OWN_LAYERS
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import lowest_placed
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_SIZES = (4, 8, 16, 32, 64)
LORA_SCALE = 2.0
"""By what a LoRA inside is multiplied."""


def _knobs(model: ModelDescription) -> Knobs:
    sizes = tuple(size for size in _SIZES if size <= model.shape.hidden_size)
    own = (Categorical("inside", ("adapter", "lora", "beside")), Ordinal("size", sizes), Ordinal("width", sizes))
    common = sizes[len(sizes) // 2]
    return Knobs((*own, *top_layers(model)), defaults={"size": common, "width": common})


def _placed(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    """Where LoRA sits."""
    return list(model.linears("qv", model.layer_range(knobs["top_layers"]))) if knobs["inside"] == "lora" else []


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    hidden, layers = model.shape.hidden_size, int(knobs["top_layers"])

    def bottleneck(size: int) -> int:
        return 2 * hidden * size + size + hidden

    lora = sum(int(knobs["size"]) * (linear.in_features + linear.out_features) for _, linear in _placed(model, knobs))
    inserted = lora if knobs["inside"] == "lora" else layers * bottleneck(int(knobs["size"]))
    return inserted + (layers - 1) * bottleneck(int(knobs["width"]))


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.connected import BesidePathway, InsertedPathway
    from workers.methods.forms.low_rank import LoraGroup
    from workers.methods.forms.reweighted import reweight

    model, rank = base.description, knobs["size"]

    def make(module: nn.Module, linear: Linear) -> LoraGroup:
        return LoraGroup(module, linear.transposed, 1, rank, LORA_SCALE, generator)

    trained = reweight(base, _placed(model, knobs), make)
    layers = model.layer_range(knobs["top_layers"])
    kind = BesidePathway if knobs["inside"] == "beside" else InsertedPathway
    size = 0 if knobs["inside"] == "lora" else knobs["size"]
    pathway = kind(model.anatomy.hidden_size, len(layers), size, knobs["width"], generator).to(base.model.device)
    base.model.add_module("pathway", pathway)
    pathway.watch([base.model.get_submodule(f"{model.anatomy.layers_path}.{index}") for index in layers])
    return trained | {f"pathway.{name}": value for name, value in pathway.named_parameters()}


METHODS = (
    own_method(
        "iaa",
        family="adapter",
        summary="modules inserted into the layers, connected by modules aside of them",
        source="Ma et al. 2022, Scattered or Connected?, arXiv 2208.09847",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        lowest_layer=lowest_placed,
        mergeable=False,
        needs=(OWN_LAYERS, KNOWN_PARTS),
    ),
)
