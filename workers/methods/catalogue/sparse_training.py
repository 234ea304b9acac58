"""`sft` and `pst`: which entries of a weight matter is learnt while training.

- SpaFT (`sft`): a sparse update whose places move. Certain: a fixed number of entries, dropped where the value is
  smallest and regrown where the gradient is largest (RigL) or estimated to be (SM3), a share of them every few steps
  that falls to zero. Choices: the same density in every matrix; RigL looks at the gradient of one step, not of five,
  so that nothing as large as the model is kept between steps; with SM3 the estimate is the product of a row's and a
  column's accumulator, which ranks entries without the ties of their minimum; the share falls linearly.
- PST: fine-tuning and pruning in one run. Certain: importance from magnitude and from learnt factors of low rank, row
  and column, a low-rank update of what is kept, straight-through gradients. Choices: one scale for all learnt parts,
  a cubic ramp of the sparsity over the first part of training, the same sparsity in every matrix. A trial that is
  stopped early is as sparse as the ramp had got.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.parameters import Categorical, Float, Int
from search_spaces.priors import Bell
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import placed, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base

_RESELECTED = 0.2  # of the entries, at the first reselection


def _delta_knobs(model: ModelDescription) -> Knobs:
    smallest = min(one.in_features * one.out_features for one in model.anatomy.linears)
    low = max(1e-4, 2 / smallest)
    density = Float("density", low, 0.1, scale="log", prior=Bell(max(low, 1e-2), spread=0.3))
    own = (density, Categorical("growth", ("rigl", "sm3")), Int("interval", 5, 200, scale="log", prior=Bell(20, 0.3)))
    return Knobs((*own, *placement(model)), defaults={"density": max(low, 1e-2), "interval": 20})


def _entries(linear: Linear, knobs: KnobValues) -> int:
    return max(1, round(float(knobs["density"]) * linear.in_features * linear.out_features))


def _install_delta(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.sparse import SparseDelta

    def make(module: nn.Module, linear: Linear) -> SparseDelta:
        count, interval = _entries(linear, knobs), knobs["interval"]
        return SparseDelta(module, linear.transposed, count, knobs["growth"], interval, generator)

    return reweight(base, placed(base.description, knobs), make)


def _begin_next(base: Base, step: int) -> None:
    from workers.methods.forms.sparse import SparseDelta

    for module in base.model.modules():
        if isinstance(module, SparseDelta):
            module.begin(step + 1)


def _reselect(base: Base, knobs: KnobValues, setup: TrainingSetup, step: int) -> Mapping[str, Tensor]:
    renewed: dict[str, Tensor] = {}
    if step % knobs["interval"] == 0 and step < setup.total_steps:
        share = _RESELECTED * (1 - step / setup.total_steps)
        for layer, linear in placed(base.description, knobs):
            module: Any = base.model.get_submodule(base.description.path(layer, linear.name))
            renewed[f"{layer}.{linear.name}.values"] = module.reselect(share)
    return renewed


def _pruned_knobs(model: ModelDescription) -> Knobs:
    own = (
        Float("sparsity", 0.1, 0.95),
        Int("rank", 2, 16, scale="log", prior=Bell(4, spread=0.4)),
        Float("alpha", 0.1, 10.0, scale="log", prior=Bell(1.0, spread=0.3)),
        Float("ramp", 0.1, 0.7),
    )
    defaults = {"sparsity": 0.5, "rank": 4, "alpha": 1.0, "ramp": 0.5, "targets": "all"}
    return Knobs((*own, *placement(model)), defaults=defaults)


def _pruned_parameters(linear: Linear, knobs: KnobValues) -> int:
    return (2 * int(knobs["rank"]) + 1) * (linear.in_features + linear.out_features)


def _install_pruned(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.sparse import PrunedLowRank

    def make(module: nn.Module, linear: Linear) -> PrunedLowRank:
        return PrunedLowRank(module, linear.transposed, knobs["rank"], knobs["alpha"], generator)

    return reweight(base, placed(base.description, knobs), make)


def _prune(base: Base, knobs: KnobValues, setup: TrainingSetup, step: int) -> None:
    done = min(1.0, step / max(1.0, knobs["ramp"] * setup.total_steps))
    for layer, linear in placed(base.description, knobs):
        module: Any = base.model.get_submodule(base.description.path(layer, linear.name))
        module.sparsity.fill_(knobs["sparsity"] * (1 - (1 - done) ** 3))


METHODS = (
    own_method(
        "sft",
        family="sparse",
        summary="a few entries of the weights, moved during training to where the gradient is largest",
        source="Ansell et al. 2024, SpaFT, arXiv 2401.16405",
        learning_rates=LearningRates(1e-4, 1e-2, 1e-3),
        knobs=_delta_knobs,
        install=_install_delta,
        trainable_parameters=per_layer(_entries),
        hooks=OwnHooks(after_step=_reselect, next_step=_begin_next),
    ),
    own_method(
        "pst",
        family="sparse",
        summary="a low-rank update, and a low-rank importance by which weights are pruned meanwhile",
        source="Li et al. 2022, PST, arXiv 2205.11005",
        learning_rates=LearningRates(1e-4, 1e-2, 1e-3),
        knobs=_pruned_knobs,
        install=_install_pruned,
        trainable_parameters=per_layer(_pruned_parameters),
        hooks=OwnHooks(after_step=_prune),
    ),
)
