"""`galore` and `natural_galore`: AdamW whose moments live in a subspace of low rank.

Certain: the projection by the gradient's singular vectors, renewed every T steps, moments that outlive the renewal, the
scale; for Natural GaLore the inverse of the damped Fisher matrix of the last gradients, by Woodbury, before Adam.
Choices: the shorter side is projected (as in the authors' code), weight decay is AdamW's, a renewed subspace starts a
new history. Runs here are short, so T may be far below the authors' 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int, Parameter
from search_spaces.priors import Bell
from workers.models.description import ModelDescription
from workers.strategies.strategy import KnobValues, Strategy, Subject, whole_matrices

if TYPE_CHECKING:
    from workers.strategies.tensor_adamw import TensorAdamW


def subspace_knobs(model: ModelDescription) -> tuple[Parameter, ...]:
    """Rank, steps between renewals and scale."""
    rank = max(1, min(512, model.shape.hidden_size // 2))
    return (
        Int("rank", 1, rank, scale="log", prior=Bell(min(8, rank), spread=0.3)),
        Int("interval", 10, 1000, scale="log", prior=Bell(200, spread=0.3)),
        Float("scale", 0.25, 4.0, scale="log", prior=Bell(1.0, spread=0.3)),
    )


def _natural_knobs(model: ModelDescription) -> tuple[Parameter, ...]:
    history = Int("history", 1, 16, scale="log", prior=Bell(4, spread=0.3))
    return (*subspace_knobs(model), history, Float("damping", 1e-6, 1.0, scale="log", prior=Bell(1e-3, spread=0.3)))


def _run(subject: Subject, knobs: KnobValues) -> TensorAdamW:
    from workers.strategies.projected import GaLore

    return GaLore(subject, knobs["rank"], knobs["interval"], knobs["scale"])


def _run_natural(subject: Subject, knobs: KnobValues) -> TensorAdamW:
    from workers.strategies.projected import NaturalGaLore

    return NaturalGaLore(subject, knobs["rank"], knobs["interval"], knobs["scale"], knobs["history"], knobs["damping"])


GALORE = Strategy(
    name="galore",
    summary="AdamW in the leading subspace of each matrix's gradient",
    source="Zhao et al. 2024, GaLore, arXiv 2403.03507",
    knobs=subspace_knobs,
    refusal=whole_matrices,
    run=_run,
)

NATURAL_GALORE = Strategy(
    name="natural_galore",
    summary="GaLore on natural gradients, from the last few projected gradients",
    source="Das 2024, Natural GaLore, arXiv 2410.16029",
    knobs=_natural_knobs,
    refusal=whole_matrices,
    run=_run_natural,
)
