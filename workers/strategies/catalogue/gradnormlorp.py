"""`gradnormlorp`: every row of a matrix has a magnitude and a direction, and the direction learns as in GaLore.

Certain: W = m·V/‖V‖, gradients split into those of m and V, V's projected to low rank. Choices: V is trained whole (the
paper also factors its change, W₀ + IJ, which would make it a method of low rank), it is projected from one side as in
GaLore, the norms belong to the rows of the stored matrix (inputs in GPT-2's layers), weight decay acts on the
magnitudes, no 8-bit state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.strategies.catalogue.galore import subspace_knobs
from workers.strategies.strategy import KnobValues, Strategy, Subject, whole_matrices

if TYPE_CHECKING:
    from workers.strategies.tensor_adamw import TensorAdamW


def _run(subject: Subject, knobs: KnobValues) -> TensorAdamW:
    from workers.strategies.projected import GradNormLoRP

    return GradNormLoRP(subject, knobs["rank"], knobs["interval"], knobs["scale"])


GRADNORMLORP = Strategy(
    name="gradnormlorp",
    summary="magnitudes and directions of rows, the directions in the leading subspace of their gradient",
    source="Huang et al. 2024, GradNormLoRP, arXiv 2412.19616",
    knobs=subspace_knobs,
    refusal=whole_matrices,
    run=_run,
)
