"""Part `memory`: many different trials in one process. What grows, in bytes or in seconds a trial, would leak."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import psutil

from benchmarks.engine.configurations import Configuration
from benchmarks.engine.ours import Ours
from workers.tasks.section import TaskSection


def measure_endurance(part: dict[str, Any], task: TaskSection, home: Path, trials: int) -> None:
    """Resident memory and processor time of `trials` consecutive trials, and how both grew.

    Memory: the last trial's over that after the first fifth, when all code has run once. Time: the median of the last
    fifth over that of the second, which train the same configurations.
    """
    ours, process = Ours(home), psutil.Process()
    sizes, seconds = [], []
    for index in range(trials):
        knobs = {"rank": 1 + index % (trials // 5), "alpha": 16, "targets": "qv", "top_layers": 1 + index % 2}
        spent, _ = ours.train(Configuration("memory", "lora", knobs), task, "fp32", epochs=1)
        sizes.append(process.memory_info().rss)
        seconds.append(spent.processor)
    fifth = trials // 5
    part["results"] = {
        "trials": trials,
        "memory_growth": sizes[-1] / sizes[fifth - 1],
        "time_growth": statistics.median(seconds[-fifth:]) / statistics.median(seconds[fifth : 2 * fifth]),
        "resident_mib": [round(size / 2**20, 1) for size in sizes],
        "processor_s": [round(value, 3) for value in seconds],
    }
