"""bfloat16 in a pack: losses differ from those alone by no more than those of two trainings alone differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.workers.engines.packs import Made, Tiny, train_alone, train_together
from tests.workers.engines.test_stacked_forms import SPLITS, UNPADDED
from tests.workers.tiny_models import tiny_base
from workers.engines.prefix_store import PrefixStore
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.engines.stacked.way import LOOPED
from workers.models.half_precision import hold_in_bfloat16

STEPS = 12
MEMBERS = [
    Tiny("lora", {"rank": 4, "targets": "all"}, {"learning_rate": 5e-4}, 1),
    Tiny("dora", {"rank": 2, "targets": "all"}, {"batch_size": 6}, 2),
    Tiny("ia3", {}, {}, 3),
    Tiny("bitfit", {}, {"gradient_accumulation": 2}, 4),
    Tiny("autopeft", {"serial_size": 6, "parallel_size": 3, "prefix_length": 3}, {"batch_size": 5}, 5),
    Tiny("ssf", {}, {}, 6),
    Tiny("head", {}, {"learning_rate": 1e-2}, 7),
]


def on_the_reference_engine(resident: ResidentBase, tiny: Tiny) -> NDArray[np.float64]:
    """Losses of a trial alone on the other engine: every layer, one tensor at a time."""
    attached = tiny.attach(resident, SPLITS[0], STEPS)
    try:
        torch.manual_seed(tiny.seed)
        trainee = reference_trainee(attached, SPLITS[0], SPLITS[1], tiny.hyperparameters(), "bf16")
        return np.array([float(trainee.train_step(step)) for step in tiny.steps(SPLITS[0], STEPS)])
    finally:
        attached.detach()


def apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Root of the mean square of the relative difference of losses, over steps."""
    return float(np.sqrt(np.mean((one / other - 1) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize("held", [False, True], ids=["base in float32", "base in bfloat16"])
def test_packs_differ_from_alone_as_alone_differs_from_alone(held: bool, tmp_path: Path) -> None:
    store, resident = PrefixStore(tmp_path, 1 << 30), ResidentBase.of(tiny_base("bert"))
    exact = [train_alone(resident, tiny, SPLITS, STEPS, store).losses for tiny in MEMBERS]
    if held:
        resident = ResidentBase.of(hold_in_bfloat16(resident.base))
    alone = [train_alone(resident, tiny, SPLITS, STEPS, store, "bf16").losses for tiny in MEMBERS]
    again = [on_the_reference_engine(resident, tiny) for tiny in MEMBERS]
    rounding = [apart(one, other) for one, other in zip(alone, exact, strict=True)]
    between = [apart(one, other) for one, other in zip(again, alone, strict=True)]
    assert min(rounding) > 1e-4  # it is bfloat16
    for way in (LOOPED, UNPADDED):
        made = train_together(resident, MEMBERS, SPLITS, STEPS, store, way, precision="bf16")
        found = [apart(one.losses, other) for one, other in zip(made, alone, strict=True) if isinstance(one, Made)]
        # Of one pair of trainings either difference is a draw: none is far larger, half of them are no larger.
        ratios = [one / max(pair) for one, *pair in zip(found, between, rounding, strict=True)]
        assert len(ratios) == len(MEMBERS)
        assert float(np.median(ratios)) <= 1.2, ratios
        assert max(ratios) <= 4.0, ratios
