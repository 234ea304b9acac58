"""Whole searches beside each other: the script of a peer that tells its trials as they end, and how soon ours has a
front that is worth as much."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
"""An ended trial: `seconds` since its search began, its `state` where that is ours, its objectives."""
Worth = Callable[[Sequence[Row]], list[float]]
"""The hypervolume of the front after each trial, in the order in which they ended."""


def run_script(command: list[str], asked: dict[str, Any], heard: Callable[[Row], None]) -> None:
    """Run a peer's script, which reads one JSON object and writes a line of JSON for every trial that has ended.

    It is a process of its own with the threads that its libraries take by default. Raises RuntimeError when it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    script = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert script.stdin is not None
    assert script.stdout is not None
    script.stdin.write(json.dumps(asked))
    script.stdin.close()
    for line in script.stdout:
        heard(json.loads(line))
    if script.wait() != 0:
        raise RuntimeError(f"the peer's script ended with status {script.returncode}")


def completed(rows: Sequence[Row]) -> list[Row]:
    """The rows that count for the service's front: stopped trials do not."""
    return [row for row in rows if row["state"] == "completed"]


def reached(worth: Worth, target: float, rows: Sequence[Row]) -> bool:
    """Whether the front of our rows is worth the target."""
    return max(worth(completed(rows)), default=0.0) >= target


def compared(
    theirs: Sequence[Row], ours: Sequence[Row], our_seconds: float, worth: Worth, clock: str = "seconds"
) -> dict[str, Any]:
    """Hypervolume over time of both, and ratios of time, by the wall clock or by another that the rows have.

    `our_seconds` are those in which ours had ended as many trials as theirs; later ones count for when the target was
    reached, and for nothing else.
    """
    finished = completed(ours)
    curves = {
        "peer": [[row[clock], value] for row, value in zip(theirs, worth(theirs), strict=True)],
        "ours": [[row[clock], value] for row, value in zip(finished, worth(finished), strict=True)],
    }
    target, whole = curves["peer"][-1][1], theirs[-1][clock]
    our_worth = max((value for seconds, value in curves["ours"] if seconds <= our_seconds), default=0.0)
    reached, first = _first(curves["ours"], target), _first(curves["peer"], target)
    return {
        "curves": curves,
        "target_hypervolume": target,
        "our_hypervolume": our_worth,
        "peer_s": whole,
        "peer_reached_s": first,
        "peer_reached_ours_s": _first(curves["peer"], our_worth),
        "our_s": our_seconds,
        "our_reached_s": reached,
        "our_reached_after": None if reached is None else sum(row[clock] <= reached for row in ours),
        "speedup": None if reached is None else whole / reached,
        "speedup_from_reached": None if reached is None or first is None else first / reached,
        "speedup_of_all_trials": whole / our_seconds,
    }


def _first(curve: Sequence[Sequence[float]], target: float) -> float | None:
    """Seconds until a curve was worth the target; None when it never was."""
    return next((seconds for seconds, value in curve if value >= target), None)


def mean_speedup(runs: Sequence[Row], name: str = "speedup") -> float | None:
    """Geometric mean over seeds; None when one of them never reached the target."""
    values = [run.get(name) for run in runs]
    return None if not values or None in values else statistics.geometric_mean(values)  # type: ignore[arg-type]
