"""Part `search`: wall clock of a whole search, ours and a plain script's, to the hypervolume that the script reaches.

Both try the literature's default first and then search the same space on the same rows, on all cores. The script's
search is measured whole; ours over as many trials, and to the first moment at which its front is worth as much, for
which it may take up to twice as many.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.engine import search_ours
from benchmarks.engine.record import Record
from benchmarks.engine.search_task import FULL, QUICK, TRIALS, SearchSize, Yardstick, literature_default, write_data

LONGEST = 60.0  # minutes


SIZES = {"full": FULL, "quick": QUICK}


def measure_search(record: Record, part: dict[str, Any], size: SearchSize, home: Path, seeds: int) -> bool:
    """Search with every seed that is missing, while time lasts; whether all are there now."""
    runs: list[dict[str, Any]] = part["results"] or []
    part["results"] = runs
    task = write_data(size, home)
    yardstick = Yardstick.of(_labels(home / "validation.jsonl"))
    for seed in range(seeds):
        if seed >= len(runs):
            runs.append({"seed": seed, "peer": {"trials": []}, "ours": None, "load_average": {}})
        run = runs[seed]
        run["load_average"].setdefault("peer", round(psutil.getloadavg()[0], 2))
        if not _peer(record, run["peer"]["trials"], home, size, seed):
            return False
        if run["ours"] is None:
            run["load_average"]["ours"] = round(psutil.getloadavg()[0], 2)
            target = _values(run["peer"]["trials"], yardstick)[-1]
            run["ours"] = search_ours.search(
                task, home / f"seed-{seed}", home, size, seed,
                enough=partial(_reached, yardstick, target),
            )  # fmt: skip
        run |= compare(run, yardstick)
        _tell(run)
        record.save()
    return True


def _peer(record: Record, trials: list[dict[str, Any]], folder: Path, size: SearchSize, seed: int) -> bool:
    """Run the script until it has all its trials or time is up; whether it has them."""
    if len(trials) < TRIALS and not record.time_is_up:
        asked = {
            "folder": str(folder),
            "epochs": size.epochs,
            "trials": TRIALS,
            "seed": seed,
            "first": literature_default(),
            "done": trials,
            "minutes": LONGEST if record.minutes_left is None else record.minutes_left,
        }
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        script = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.engine.search_peer"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        assert script.stdin is not None
        assert script.stdout is not None
        script.stdin.write(json.dumps(asked))
        script.stdin.close()
        for line in script.stdout:
            trials.append(json.loads(line))
            record.save()
        if script.wait() != 0:
            raise RuntimeError(f"the peer's script ended with status {script.returncode}")
    return len(trials) >= TRIALS


def compare(run: dict[str, Any], yardstick: Yardstick) -> dict[str, Any]:
    """Hypervolume over time of both, and three ratios of wall clock."""
    theirs, ours = run["peer"]["trials"], run["ours"]
    completed = _completed(ours["trials"])
    curves = {
        "peer": [[row["seconds"], value] for row, value in zip(theirs, _values(theirs, yardstick), strict=True)],
        "ours": [[row["seconds"], value] for row, value in zip(completed, _values(completed, yardstick), strict=True)],
    }
    target = curves["peer"][-1][1]
    reached = next((seconds for seconds, value in curves["ours"] if value >= target), None)
    first = next(seconds for seconds, value in curves["peer"] if value >= target)
    whole = theirs[-1]["seconds"]
    return {
        "curves": curves,
        "target_hypervolume": target,
        "our_hypervolume": max(
            (value for seconds, value in curves["ours"] if seconds <= ours["trials_s"]), default=0.0
        ),
        "peer_s": whole,
        "peer_reached_s": first,
        "our_s": ours["trials_s"],
        "our_reached_s": reached,
        "our_reached_after": None if reached is None else sum(row["seconds"] <= reached for row in ours["trials"]),
        "speedup": None if reached is None else whole / reached,
        "speedup_from_reached": None if reached is None else first / reached,
        "speedup_of_all_trials": whole / ours["trials_s"],
    }


def mean_speedup(runs: list[dict[str, Any]], name: str = "speedup") -> float | None:
    """Geometric mean over seeds; None when one of them never reached the target."""
    values = [run.get(name) for run in runs]
    return None if not values or None in values else statistics.geometric_mean(values)  # type: ignore[arg-type]


def _completed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that count for the service's front: stopped trials do not."""
    return [row for row in rows if row["state"] == "completed"]


def _reached(yardstick: Yardstick, target: float, rows: list[dict[str, Any]]) -> bool:
    return _best(rows, yardstick) >= target


def _best(rows: list[dict[str, Any]], yardstick: Yardstick) -> float:
    return max(_values(_completed(rows), yardstick), default=0.0)


def _values(rows: list[dict[str, Any]], yardstick: Yardstick) -> list[float]:
    return yardstick.curve([row["accuracy"] for row in rows], [row["trainable_params"] for row in rows])


def _labels(file: Path) -> list[int]:
    return [json.loads(line)["label"] for line in file.read_text().splitlines()]


def _tell(run: dict[str, Any]) -> None:
    speedup = "never reached" if run["speedup"] is None else f"{run['speedup']:.1f}x"
    print(
        f"search, seed {run['seed']}: peer {run['peer_s']:.0f} s to {run['target_hypervolume']:.4f}; "
        f"ours {run['our_s']:.0f} s to {run['our_hypervolume']:.4f}, {speedup}",
        file=sys.stderr,
        flush=True,
    )
