"""AdamW on a row of numbers for each member, with what differs between members as vectors.

PyTorch's own fused AdamW takes one rate, one decay and one step number for all that it is given, so it has to be called
for each member. That is what pays on a CPU (`adamw_by_rows`), where a call costs little and each pass over memory much;
`vector_adamw` is a dozen operations for all members together, and one launch where it is captured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.flat_adamw import BETAS, EPSILON


def no_step(slots: int, width: int) -> NDArray[np.float32]:
    """Controls `[5, slots, width]` of a step that changes nothing."""
    found = np.zeros((5, slots, width), dtype=np.float32)
    found[1] = 1.0
    found[3] = math.inf
    return found


def one_step(rate: float, steps: int, max_norm: float) -> tuple[float, float, float, float, float]:
    """Rate, √ of the squares' correction after so many steps, rate over the means' correction, largest norm (0: none),
    and that there is a step."""
    mean, square = (1.0 - beta**steps for beta in BETAS)
    return rate, math.sqrt(square), rate / mean, max_norm if max_norm > 0 else math.inf, 1.0


def adamw_by_rows(
    values: Tensor,
    mean: Tensor,
    square: Tensor,
    gradients: Tensor,
    controls: Tensor,
    decay: Tensor | None,
    counts: Sequence[int],
) -> Tensor:
    """As `vector_adamw` where all factors are 1 and nothing rests: a fused call for each row that takes a step.

    `controls` are `[5, rows, 1]`; `counts` says which step of its own each row takes.
    """
    norms: Tensor = torch.linalg.vector_norm(gradients, dim=1)
    rates, _, _, most, steps = controls[..., 0].tolist()
    for row, norm in enumerate(norms.tolist()):
        if not steps[row]:
            continue
        if not norm + 1e-6 <= most[row]:  # a NaN spreads, as it does there
            gradients[row].mul_(most[row] / (norm + 1e-6))
        if decay is not None:
            values[row].addcmul_(values[row], decay[row], value=-rates[row])
        torch._fused_adamw_(
            [values[row]],
            [gradients[row]],
            [mean[row]],
            [square[row]],
            [],
            [torch.tensor(float(counts[row]))],
            lr=rates[row],
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )
    gradients.zero_()
    return norms[:, None]


def vector_adamw(
    values: Tensor,
    mean: Tensor,
    square: Tensor,
    gradients: Tensor,
    controls: Tensor,
    factors: Tensor | None,
    decay: Tensor | None,
    resting: bool,
) -> Tensor:
    """One step of all rows, in place; gradients are zero behind it. Returns the norms of the gradients `[rows, 1]`.

    Args:
        values: `[rows, columns]`, as are moments and gradients.
        mean: mean gradient.
        square: mean square of the gradient.
        gradients: of this step.
        controls: `one_step` or `no_step` of each row `[5, rows, 1]`, or of each number `[5, rows, columns]`.
        factors: multiples of the rate `[rows, columns]`, 0 for what is frozen; None where all are 1.
        decay: multiples of the rate by which numbers shrink; None where none do.
        resting: whether some numbers of a row take no step; these keep their moments, too.
    """
    rate, square_correction, over_mean, max_norm, steps = controls
    if factors is not None:
        gradients.mul_(factors != 0)
    if resting:
        gradients.mul_(steps)
    norm: Tensor = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    gradients.mul_((max_norm.amin(1, keepdim=True) / (norm + 1e-6)).clamp(max=1.0))
    if decay is not None:
        values.mul_(1.0 - rate * decay)
    if resting:
        mean.lerp_(gradients, (1.0 - BETAS[0]) * steps)
        square.mul_(1.0 - (1.0 - BETAS[1]) * steps)
    else:
        mean.lerp_(gradients, 1.0 - BETAS[0])
        square.mul_(BETAS[1])
    square.addcmul_(gradients, gradients, value=1.0 - BETAS[1])
    denominator = square.sqrt().div_(square_correction).add_(EPSILON)
    change = (mean if factors is None else mean * factors) / denominator
    # A row without a step has rate 0, and 0 times what a NaN left in it would still be NaN.
    values.sub_(torch.where(over_mean == 0, 0.0, change * over_mean))
    gradients.zero_()
    return norm
