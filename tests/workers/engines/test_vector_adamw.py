"""One AdamW step of all rows: at once, as on a GPU, and row by row, as on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.engines.stacked.vector_adamw import adamw_by_rows, no_step, one_step, vector_adamw

COLUMNS = 7


def tensors(seed: int) -> list[Tensor]:
    """Values, mean, square and gradients of four rows."""
    generator = torch.Generator().manual_seed(seed)
    found = [torch.randn(4, COLUMNS, generator=generator) for _ in range(4)]
    found[2].abs_()
    return found


def test_row_by_row_is_all_at_once_with_clipping_decay_and_rows_that_rest_or_are_nan() -> None:
    counts, clipped = [3, 1, 9, 50], [0.5, 0.0, 1.0, 1e9]
    controls = no_step(4, 1)
    for row in (0, 1, 3):  # the third has no step
        controls[:, row, 0] = one_step(1e-2 * (1 + row), counts[row], clipped[row])
    decay = torch.full((4, COLUMNS), 0.1)
    decay[:, 4:] = 0.0
    one, other = tensors(0), tensors(0)
    for made in (one, other):
        made[3][2] = 0.0  # as a row's gradients are that takes no step
        made[3][1] = torch.nan
    given = torch.from_numpy(controls)
    norms = vector_adamw(*one, given, None, decay, resting=False)
    again = adamw_by_rows(*other, given, decay, counts)
    torch.testing.assert_close(again, norms, equal_nan=True)
    assert other[0][1].isnan().all()
    for name, mine, theirs in zip(("values", "mean", "square", "gradients"), other, one, strict=True):
        for row in (0, 1, 3):
            torch.testing.assert_close(
                mine[row],
                theirs[row],
                equal_nan=True,
                rtol=1e-5,
                atol=1e-7,
                msg=lambda why, name=name: f"{name}: {why}",
            )
    assert torch.equal(other[0][2], tensors(0)[0][2])
    assert not other[3].any()
