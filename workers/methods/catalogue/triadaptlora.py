"""`triadaptlora`: an update split into triangles, each of low-rank factors, whose ranks grow by a falling threshold.

Certain: a split into lower and upper triangular parts, importance by normalised Frobenius norms, and growth where the
importance is above a threshold that moves with the training (linear, or another course). Choices: ΔW = L ⊙ B₁A₁ +
U ⊙ B₂A₂, the masks being on the products; a layer's importance is ‖ΔW‖ over the largest ‖ΔW‖ among the layers of its
shape; the threshold falls from 1 to 0 between a tenth and six tenths of the training. The parameters count the whole
budget, of which growth may leave a part unused.
"""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Ordinal
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import alpha, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.methods.forms.direction_pools import give, give_each, growths, install_pooled, pools_of
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    own = (rank(model), Ordinal("growths", (4, 8, 16)), Categorical("threshold", ("linear", "cosine")))
    return Knobs((*own, alpha(), *placement(model)), defaults={"growths": 8})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch

    from workers.methods.forms.low_rank import TriangularLora

    trained = install_pooled(base, knobs, generator, TriangularLora)
    for pool in pools_of(base):
        give_each(pool, min(2, knobs["rank"]))  # one for each triangle
        pool.register_buffer("growths", torch.zeros((), dtype=torch.long, device=base.model.device))
    return trained


def _grow(base: Base, knobs: KnobValues, setup: TrainingSetup, step: int) -> None:
    import torch

    from workers.methods.calibration import layers_of
    from workers.methods.forms.low_rank import TriangularLora

    due = growths(step, setup.total_steps, knobs["growths"])
    layers = layers_of(base, TriangularLora)
    for pool in pools_of(base):
        done = pool.get_buffer("growths")
        if due == int(done):
            continue
        members = [layer for layer in layers if layer.pool is pool]
        with torch.no_grad():
            norms = torch.stack([torch.linalg.matrix_norm(torch.add(*layer.parts())) for layer in members])
        importance = norms / norms.max().clamp_min(1e-12)
        for event in range(int(done) + 1, due + 1):
            above = importance >= threshold(event / knobs["growths"], knobs["threshold"])
            give(pool, (number for number, grows in enumerate(above.tolist()) if grows))
        done.fill_(due)


def threshold(progress: float, course: str) -> float:
    """The importance that growth asks for, from 1 (progress 0) to 0 (progress 1)."""
    return 1 - progress if course == "linear" else (1 + cos(pi * progress)) / 2


METHODS = (
    own_method(
        "triadaptlora",
        family="low-rank",
        summary="low-rank triangles whose ranks grow by a threshold on their norms",
        source="Liang et al. 2025, TriAdaptLoRA, arXiv 2501.08008",
        learning_rates=LearningRates(1e-4, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(two_factors),
        hooks=OwnHooks(after_step=_grow),
    ),
)
