"""Part `search`: wall clock of a whole search, ours and a plain script's, to the hypervolume that the script reaches.

Both try the literature's default first and then search the same space on the same rows, on all cores. The script's
search is measured whole; ours over as many trials, and to the first moment at which its front is worth as much, for
which it may take up to twice as many.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.engine.record import Record
from benchmarks.engine.search_task import (
    FULL,
    QUICK,
    TRIALS,
    SearchSize,
    Yardstick,
    job_spec,
    literature_default,
    write_data,
)
from benchmarks.served_search import search
from benchmarks.whole_searches import Row, compared, reached, run_script

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
            target = yardstick.worth(run["peer"]["trials"])[-1]
            run["ours"] = search(
                job_spec(task, size, seed), home / f"seed-{seed}", home, TRIALS,
                enough=partial(reached, yardstick.worth, target),
            )  # fmt: skip
        run |= compared(run["peer"]["trials"], run["ours"]["trials"], run["ours"]["trials_s"], yardstick.worth)
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

        def heard(row: Row) -> None:
            trials.append(row)
            record.save()

        run_script([sys.executable, "-m", "benchmarks.engine.search_peer"], asked, heard)
    return len(trials) >= TRIALS


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
