"""`apet` ("arbitrary few parameters"): n single entries of the weights; the baseline that every structure must beat.

Certain: any number of entries, at positions without structure; random ones are the paper's finding that structure
hardly matters. Choices: `random` draws them over all adapted weights together, `layer` the same number in each encoder
layer, both anew for every seed; `gradient` takes those where the loss of a few training batches, with the head at its
random start, changes fastest. Fewer are trained where the adapted weights have no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Int
from search_spaces.priors import Bell
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import placed, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_MOST, _LEAST, _USUAL = 1_000_000, 50, 50_000
_ROWS = 64  # whose gradient chooses


def _knobs(model: ModelDescription) -> Knobs:
    high = max(_LEAST, min(_MOST, sum(_size(one) for _, one in model.linears("all", range(model.anatomy.layers)))))
    entries = Int("entries", _LEAST, high, scale="log", prior=Bell(min(_USUAL, high), spread=0.3))
    own = (entries, Categorical("place", ("random", "layer", "gradient")))
    return Knobs((*own, *placement(model)), defaults={"targets": "all"})


def _size(linear: Linear) -> int:
    return linear.in_features * linear.out_features


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return min(int(knobs["entries"]), sum(_size(linear) for _, linear in placed(model, knobs)))


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.arbitrary_entries import ArbitraryEntries, EntriesDelta, distinct, spread, starts
    from workers.methods.forms.reweighted import reweight

    model, places = base.description, placed(base.description, knobs)
    count = _parameters(model, knobs)
    layers: dict[int, int] = {}
    for layer, linear in places:
        layers[layer] = layers.get(layer, 0) + _size(linear)
    even = knobs["place"] == "layer"
    drawn = (
        spread(list(layers.values()), count, generator) if even else distinct(count, sum(layers.values()), generator)
    )
    entries = ArbitraryEntries(drawn).to(base.model.device)
    base.model.add_module("arbitrary_entries", entries)
    start = iter(starts([_size(linear) for _, linear in places]))

    def make(module: nn.Module, linear: Linear) -> EntriesDelta:
        return EntriesDelta(module, linear.transposed, entries, next(start))

    reweight(base, places, make)
    return {"entries": entries.values}


def _choose(base: Base, knobs: KnobValues, setup: TrainingSetup) -> None:
    """Move the entries to the largest gradients."""
    import torch

    from workers.methods.calibration import layers_of, weight_gradients
    from workers.methods.forms.arbitrary_entries import EntriesDelta

    if knobs["place"] == "gradient":
        gradients = weight_gradients(base, layers_of(base, EntriesDelta), setup, _ROWS)
        places = base.model.get_buffer("arbitrary_entries.places")
        steepest = torch.cat([one.abs().flatten() for one in gradients]).topk(len(places)).indices
        places.copy_(steepest.sort().values)


METHODS = (
    own_method(
        "apet",
        family="sparse",
        summary="any number of single entries of the weights, at random or where the gradient is largest",
        source="Su et al. 2023, APET, arXiv 2306.02320",
        learning_rates=LearningRates(1e-4, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        hooks=OwnHooks(ready=_choose),
    ),
)
