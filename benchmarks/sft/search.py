"""`python -m benchmarks.sft.search`: a whole search beside Optuna with TRL's `SFTTrainer`, to the same hypervolume.

Both search the same space on the same rows, for the held-out loss and the number of trained parameters; both try the
literature's default first, and train each configuration for as many epochs. The script's search is measured whole;
ours, on the service with a job over REST, over as many trials (a scheduler may end some early, which count as trials),
and to the first moment at which its front is worth as much, for which it may take up to twice as many. Adapters of
ours are measured by the script's own function once all clocks have stopped: the two fronts are compared by that.

Both sides have one and the same core to themselves, the script one thread on it, ours what the service decides. Clocks
start with the processes: imports and the service's start count. Processor time of all processes of a side is compared
(`times_faster`), and by the wall clock what else the machine did counts, too. The record goes to
`benchmarks/results/sft_search.json` (`sft_search.quick.json` with --quick).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.beside_aims import Limits, by_hand, missed
from benchmarks.served_search import search
from benchmarks.sft.__main__ import PEER, RESULTS, versions
from benchmarks.sft.search_task import (
    SIZES,
    SPACES,
    SearchSize,
    Yardstick,
    asked_of_peer,
    job_spec,
    space_of,
    write_rows,
)
from benchmarks.whole_searches import Row, compared, completed, mean_speedup, reached, run_script

SCRIPT = Path(__file__).with_name("search_peer.py")
AIMS: Limits = dict.fromkeys(SPACES, (">=", 6.0))
"""Times as fast as the script's whole search to the hypervolume that it reaches."""
CLOCKS = ("processor_seconds", "wall_seconds")
BEYOND = 1.005
"""How far ours goes beyond the target before it ends, by its own losses: the script's may say a little less of it."""


def main() -> None:
    """Measure and print the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sft.search", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 trials of 16 rows in the upper layers: a few minutes")
    parser.add_argument("--peer", type=Path, default=PEER, help="the Python that has TRL and Optuna")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the record")
    parser.add_argument("--spaces", nargs="+", choices=SPACES, help="others stay as they are in the record")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="each of both optimizers and of the training")
    given = parser.parse_args()
    form, path = "full", given.results / "sft_search.json"
    if given.quick:
        form, path = "quick", given.results / "sft_search.quick.json"
    psutil.Process().cpu_affinity(psutil.Process().cpu_affinity()[-1:])  # what is started from here has it, too
    for name in given.spaces or (["upper layers"] if given.quick else SPACES):
        for seed in given.seeds:
            run = measured(name, SIZES[form], seed, given.peer)
            known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            peer = versions(given.peer, ("trl", "optuna", "transformers", "peft", "torch"))
            record = {"form": form, **asdict(SIZES[form]), "peer": peer, **recorded(known, name, run)}
            path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            print(json.dumps({"space": name, **summary(run)}, indent=1), flush=True)


def recorded(known: dict[str, Any], name: str, run: dict[str, Any]) -> dict[str, Any]:
    """The figures over all runs of the record with this one in it; an earlier one of its space and seed goes."""
    searches: dict[str, list[dict[str, Any]]] = {one: list(runs) for one, runs in known.get("searches", {}).items()}
    others = [one for one in searches.get(name, ()) if one["seed"] != run["seed"]]
    searches[name] = sorted([*others, run], key=lambda one: int(one["seed"]))
    faster, by_wall = (
        {one: mean_speedup([run[clock] for run in runs]) for one, runs in searches.items()} for clock in CLOCKS
    )
    return {
        "times_faster": faster,
        "times_faster_by_wall_clock": by_wall,
        "missed": missed({name: value or 0.0 for name, value in faster.items()}, AIMS, known),  # null: never reached
        **by_hand(known),
        "searches": searches,
    }


def measured(name: str, size: SearchSize, seed: int, peer: Path) -> dict[str, Any]:
    """Both searches of one space, theirs first."""
    with tempfile.TemporaryDirectory(prefix="peftsearch-bench-sft-") as scratch:
        folder = Path(scratch)
        section = write_rows(size, folder)
        asked = asked_of_peer(section, folder, SPACES[name], size, seed)
        load = {"peer": os.getloadavg()[0]}
        heard: list[Row] = []
        run_script([str(peer), str(SCRIPT)], asked | {"begun": time.time()}, partial(_heard, heard))
        base, theirs = heard[0], heard[1:]
        worth = Yardstick.of(base["base_loss"], space_of(SPACES[name])).worth
        load["ours"] = os.getloadavg()[0]
        spec, adapters = job_spec(section, SPACES[name], size, seed), folder / "adapters"
        enough = partial(reached, worth, BEYOND * worth(theirs)[-1])
        ours = search(spec, folder / "home", folder, size.trials, enough, adapters)
        again: list[Row] = []
        kept = {row["trial"]: str(adapters / row["trial"]) for row in completed(ours["trials"])}
        run_script([str(peer), str(SCRIPT)], asked | {"adapters": kept}, again.append)
    ours["trials"] = by_script(ours["trials"], again)
    end = ours["trials"][min(size.trials, len(ours["trials"])) - 1]
    return {
        "seed": seed,
        "load": load,
        **{clock: compared(theirs, ours["trials"], end[clock], worth, clock) for clock in CLOCKS},
        "lowest_loss": {
            "peer": min(row["loss"] for row in theirs),
            "ours": min(row["loss"] for row in completed(ours["trials"])),
        },
        "peer": {**base, "trials": theirs},
        "ours": ours,
    }


def by_script(rows: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Our trials with the script's objectives of their adapters; what the service had reported stays beside them."""
    measured_anew = {one["trial"]: one for one in found}
    return [
        {**row, "reported": {name: row[name] for name in one if name != "trial"}, **one} if one else dict(row)
        for row in rows
        for one in (measured_anew.get(row["trial"], {}),)
    ]


def _heard(rows: list[Row], row: Row) -> None:
    rows.append(row)
    print(f"peer: {json.dumps({name: row[name] for name in row if name != 'config'})}", file=sys.stderr, flush=True)


def summary(run: dict[str, Any]) -> dict[str, Any]:
    """A run without its trials and curves."""
    clocks = {clock: {name: one for name, one in run[clock].items() if name != "curves"} for clock in CLOCKS}
    return {name: value for name, value in run.items() if name not in ("peer", "ours")} | clocks


if __name__ == "__main__":
    main()
