"""Trains the entries that are missing from a recording, one after another on one thread, and appends each.

Trials run through the product's own code (`workers.running.trial.train`) on the fast engine, without Ray.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.trials.plan import Entry
from benchmarks.trials.recording import Line, Recording
from workers.artifacts import ArtifactStore
from workers.assignment import Decision, Report
from workers.running.trial import train
from workers.running.workbench import Workbench


class Recorder:
    """Workbenches that stay loaded between trials, and the recording that they fill.

    Args:
        data: folder with a folder of `train.jsonl`, `validation.jsonl` and `test.jsonl` for each data set.
        home: folder for caches (tokens, stored hidden states).
        known: keys of trials that are recorded elsewhere and need no training.
    """

    def __init__(self, recording: Recording, data: Path, home: Path, known: Collection[str] = ()) -> None:
        torch.set_num_threads(1)
        self._known = {*recording.keys, *known}
        self._recording, self._data = recording, data
        self._artifacts = ArtifactStore(home / "artifacts")
        self._benches = {
            name: Workbench(home, self._artifacts, precision=name, kept=8, latency_clock=time.process_time)
            for name in ("bf16", "fp32")
        }

    def record(self, entries: Iterable[Entry], total: int, deadline: float = float("inf")) -> int:
        """Train what is missing of `entries`, until the monotonic time `deadline`; how many of `total` are then left.

        `entries` may be a generator that looks at what was recorded so far to know what comes next.
        """
        started, trained = time.monotonic(), 0
        for number, entry in enumerate(entries, 1):
            if entry.key in self._known:
                continue
            if time.monotonic() >= deadline:
                return total - number + 1
            line = self._train(entry)
            self._recording.append(line)
            self._known.add(entry.key)
            trained += 1
            _show(line, number, total, (total - number) * (time.monotonic() - started) / trained / 60)
        return 0

    def _train(self, entry: Entry) -> Line:
        bench, assignment = self._benches[entry.precision], entry.assignment(self._data)
        prepared = bench.data(assignment.task, assignment.data_seed)  # loading is no part of a trial's time
        bench.base(assignment.task.model, len(prepared.tokens.labels))
        curve: list[dict[str, float]] = []
        wall, processor = time.perf_counter(), time.process_time()

        def on_report(report: Report) -> Decision:
            spent = {"train_seconds": report.seconds, "processor_seconds": time.process_time() - processor}
            curve.append({"epoch": report.epoch, "step": report.step, **report.metrics, **spent})
            return "continue"

        outcome = train(assignment, bench, on_report)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        if outcome.adapter is not None:
            self._artifacts.delete(outcome.adapter.sha256)
        return {
            "key": entry.key,
            **asdict(entry),
            **outcome.model_dump(include={"status", "reason", "engine", "engine_reason", "metrics", "environment"}),
            "wall_seconds": wall,
            "processor_seconds": processor,
            "curve": curve,
            "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _show(line: Line, number: int, total: int, minutes: float) -> None:
    """One line of progress, with the time that is left at the pace so far."""
    found = f"accuracy {line['metrics']['accuracy']:.3f}" if line["status"] == "completed" else str(line["reason"])
    print(
        f"[{number}/{total}, {minutes:.0f} min left] {line['data_set']:8s} {line['config']['method']:16s} "
        f"seed {line['seed']} {line['precision']} {line['processor_seconds']:5.1f} s  {found}",
        file=sys.stderr,
        flush=True,
    )
