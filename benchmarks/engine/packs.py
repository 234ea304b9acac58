"""Part `packs`: trials one after another against the same trials in one pass. Both find the frozen layers stored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.engine.clock import measure
from benchmarks.engine.configurations import Configuration
from benchmarks.engine.ours import Ours, assignment
from benchmarks.engine.record import Record
from workers.running.trial_pack import train_pack
from workers.tasks.section import TaskSection

SIZES = {"full": (2, 4, 8, 16, 32), "quick": (2, 4)}
EPOCHS = 1


def measure_packs(record: Record, part: dict[str, Any], task: TaskSection, home: Path, sizes: tuple[int, ...]) -> bool:
    """Measure every one of the sizes that is missing, while time lasts; whether all are there now."""
    ratios: dict[str, float] = part["results"] or {}
    part["results"], ours = ratios, Ours(home)
    for members in sizes:
        if str(members) in ratios:
            continue
        if record.time_is_up:
            return False
        ratios[str(members)] = round(_ratio(members, task, ours), 2)
        print(f"pack of {members:2d} {ratios[str(members)]:5.2f}x", file=sys.stderr, flush=True)
        record.save()
    return True


def _ratio(members: int, task: TaskSection, ours: Ours) -> float:
    trials = [
        Configuration("pack", "lora", {"rank": 1 + index % 16, "alpha": 16, "targets": "qv", "top_layers": 2}, 8)
        for index in range(members)
    ]
    ours.train(trials[0], task, "fp32", EPOCHS)
    with measure() as apart:
        for one in trials:
            ours.train(one, task, "fp32", EPOCHS)
    assignments = [assignment(one, task, EPOCHS, number) for number, one in enumerate(trials)]
    with measure() as together:
        outcomes = list(train_pack(assignments, ours.benches["fp32"], lambda _report: "continue"))
    failed = [outcome.reason for outcome in outcomes if outcome.status != "completed"]
    if failed:
        raise RuntimeError(f"a pack of {members}: {failed[0]}")
    return apart.processor / together.processor
