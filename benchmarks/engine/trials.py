"""Part `trials`: each configuration on Hugging Face's Trainer and on our engine, one after the other.

Both train on one thread. With one thread, processor time is what a quiet machine's wall clock would show, and
neighbours on the machine do not distort it, so ratios are taken from it; wall clock is recorded too. Our time includes
the frozen layers that a configuration is the first to need, the cost measurements and the export of the adapter.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.engine import peer
from benchmarks.engine.configurations import CONFIGURATIONS, HEAD_ONLY, Configuration
from benchmarks.engine.ours import MODEL, PRECISIONS, Ours
from benchmarks.engine.record import Record
from workers.tasks.section import TaskSection

EPOCHS = 2


def measure_trials(record: Record, part: dict[str, Any], task: TaskSection, home: Path, stride: int) -> bool:
    """Add a row for every configuration that has none yet (of each `stride` of them the first), while time lasts;
    whether all have one now."""
    rows: list[dict[str, Any]] = part["results"] or []
    part["results"], ours = rows, Ours(home)
    done = {row["label"] for row in rows}
    for configuration in (*CONFIGURATIONS[::stride], HEAD_ONLY):
        if configuration.label in done:
            continue
        if record.time_is_up:
            return False
        rows.append(_compare(configuration, task, ours))
        record.save()
    return True


def _compare(configuration: Configuration, task: TaskSection, ours: Ours) -> dict[str, Any]:
    theirs, their_accuracy = peer.train(MODEL, configuration, ours.benches["fp32"].data(task, 0), EPOCHS, seed=0)
    row: dict[str, Any] = {
        "label": configuration.label,
        "upper": configuration.upper,
        "config": configuration.config(),
        "trainer": {"processor_s": theirs.processor, "wall_s": theirs.wall, "accuracy": their_accuracy},
    }
    for precision in PRECISIONS:
        spent, outcome = ours.train(configuration, task, precision, EPOCHS)
        row[precision] = {
            "processor_s": spent.processor,
            "wall_s": spent.wall,
            "accuracy": outcome.metrics["accuracy"],
            "speedup": theirs.processor / spent.processor,
            "wall_speedup": theirs.wall / spent.wall,
            "engine": outcome.engine,
        }
    print(
        f"{configuration.label:28s} Trainer {theirs.processor:6.1f} s"
        + "".join(f"   {precision} {row[precision]['speedup']:6.2f}x" for precision in PRECISIONS),
        file=sys.stderr,
        flush=True,
    )
    return row
