"""`scalearn`: trained scales over the updates of stored adapters, which stay as they are.

Certain: o = Σ_s ω_s ⊙ o_s without a softmax, four ways to share ω: a number for each output of each layer (`vector`) or
one for each layer (`uniform`), either of them shared by all layers (`shared_…`), so that `shared_uniform` trains one
number for each source. Choices: what is scaled are the updates of LoRAs; a shared vector is shared by weights of the
same name; `average` trains no scale, to compare with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Int, Parameter
from workers.methods.declaration.knob_kinds import placed, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

MOST_SOURCES, MOST_RANK = 16, 64


def of_sources(model: ModelDescription) -> tuple[Parameter, ...]:
    """Knobs of all methods that hold the factors of several adapters."""
    return (Int("sources", 1, MOST_SOURCES), Int("rank", 1, MOST_RANK, scale="log"), *placement(model))


def _knobs(model: ModelDescription) -> Knobs:
    variants = ("shared_uniform", "uniform", "shared_vector", "vector", "average")
    return Knobs((*of_sources(model), Categorical("variant", variants)))


def _shared_by(linear: Linear, layer: int, knobs: KnobValues) -> tuple[object, ...]:
    """Layers of which this is the same have one ω; `layer` is any number that tells a layer from others."""
    return {
        "shared_uniform": (),
        "uniform": (layer, linear.name),
        "shared_vector": (linear.name,),
        "vector": (layer, linear.name),
    }[knobs["variant"]]


def _size(linear: Linear, knobs: KnobValues) -> int:
    return int(knobs["sources"]) * (linear.out_features if knobs["variant"].endswith("vector") else 1)


def _install(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch
    from torch import nn

    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.sources import ScaledSources

    sources = int(knobs["sources"])
    known: dict[tuple[object, ...], nn.Parameter] = {}

    def make(original: nn.Module, linear: Linear) -> ScaledSources:
        omega = None
        if knobs["variant"] != "average":
            key, size = _shared_by(linear, id(original), knobs), _size(linear, knobs)
            shape = (sources, size // sources) if size > sources else (sources,)
            omega = known.setdefault(key, nn.Parameter(torch.full(shape, 1 / sources)))
        sizes = (sources, int(knobs["rank"]), linear.in_features, linear.out_features)
        return ScaledSources(original, linear.transposed, sizes, omega)

    return reweight(base, placed(base.description, knobs), make)


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    if knobs["variant"] == "average":
        return 0
    return sum({_shared_by(one, layer, knobs): _size(one, knobs) for layer, one in placed(model, knobs)}.values())


METHODS = (
    own_method(
        "scalearn",
        family="shared",
        summary="scales over the updates of stored adapters",
        source="Frohmann et al. 2023, ScaLearn, arXiv 2310.01217",
        learning_rates=LearningRates(1e-3, 1e-1, 1e-2),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
    ),
)
