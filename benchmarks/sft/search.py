"""`python -m benchmarks.sft.search`: a whole search beside Optuna with TRL's `SFTTrainer`, to the same hypervolume.

Both search the same space on the same rows, for the held-out loss and the number of trained parameters; both try the
literature's default first, and train each configuration for as many epochs. The script's search is measured whole;
ours, on the service with a job over REST, over as many trials (a scheduler may end some early, which count as trials),
and to the first moment at which its front is worth as much, for which it may take up to twice as many. Clocks start
once the rows are tokens and the script's imports done, and the service is up. Processor time is compared, all of the
service's processes counted; the script has one thread, ours what the service decides. The record goes to `benchmarks/results/sft_search.json` (`sft_search.quick.json` with --quick).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.beside_aims import Limits, by_hand, missed
from benchmarks.served_search import search
from benchmarks.sft.__main__ import PEER, RESULTS, versions
from benchmarks.sft.search_task import SIZES, SPACES, SearchSize, Yardstick, asked_of_peer, job_spec, space_of, write_rows
from benchmarks.whole_searches import Row, compared, completed, run_script

SCRIPT = Path(__file__).with_name("search_peer.py")
AIMS: Limits = {name: (">=", 6.0) for name in SPACES}
"""Times as fast as the script's whole search to the hypervolume that it reaches."""


def main() -> None:
    """Measure and print the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sft.search", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 trials of 16 rows in the upper layers: a minute or two")
    parser.add_argument("--peer", type=Path, default=PEER, help="the Python that has TRL and Optuna")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the record")
    parser.add_argument("--spaces", nargs="+", choices=SPACES, help="others stay as they are in the record")
    parser.add_argument("--seed", type=int, default=0, help="of both optimizers and of the training")
    given = parser.parse_args()
    form, path = "full", given.results / "sft_search.json"
    if given.quick:
        form, path = "quick", given.results / "sft_search.quick.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    size = SIZES[form]
    searches: dict[str, Any] = known.get("searches", {})
    for name in given.spaces or (["upper layers"] if given.quick else SPACES):
        searches[name] = measured(name, size, given.seed, given.peer)
        figures = {one: run["speedup"] for one, run in searches.items()}
        record = {
            "form": form,
            **asdict(size),
            "peer": versions(given.peer, ("trl", "optuna", "transformers", "peft", "torch")),
            "times_faster": figures,
            "missed": missed(figures, AIMS, known),
            **by_hand(known),
            "searches": searches,
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(json.dumps({"space": name, **summary(searches[name])}, indent=1))


def measured(name: str, size: SearchSize, seed: int, peer: Path) -> dict[str, Any]:
    """Both searches of one space, theirs first."""
    with tempfile.TemporaryDirectory(prefix="peftsearch-bench-sft-") as scratch:
        folder = Path(scratch)
        section = write_rows(size, folder)
        asked = asked_of_peer(section, folder, SPACES[name], size, seed)
        run: dict[str, Any] = {"seed": seed, "load": {"peer": os.getloadavg()[0]}}
        heard: list[Row] = []
        run_script([str(peer), str(SCRIPT)], asked, partial(_heard, heard))
        begun, theirs = heard[0], heard[1:]
        yardstick = Yardstick.of(begun["base"]["loss"], space_of(SPACES[name]))
        target = yardstick.worth(theirs)[-1]
        run["load"]["ours"] = os.getloadavg()[0]
        adapter = folder / "adapter"
        spec = job_spec(section, SPACES[name], size, seed)
        ours = search(spec, folder / "home", folder, size.trials, partial(_reached, yardstick, target), adapter)
        again: list[Row] = []
        run_script([str(peer), str(SCRIPT)], asked | {"adapter": str(adapter)}, again.append)
    best = min(completed(ours["trials"]), key=lambda row: float(row["loss"]))
    return {
        **run,
        **compared(theirs, ours["trials"], ours["trials_processor_s"], yardstick.worth, "processor_seconds"),
        "wall_seconds": {"peer": theirs[-1]["seconds"], "ours": ours["trials_s"]},
        "base_loss": begun["base"]["loss"],
        "lowest_loss": {"peer": min(row["loss"] for row in theirs), "ours": best["loss"]},
        "our_lowest_by_plain_peft": again[0]["loss"],
        "peer": begun | {"trials": theirs},
        "ours": ours,
    }


def _heard(rows: list[Row], row: Row) -> None:
    rows.append(row)
    print(f"peer: {json.dumps({name: row[name] for name in row if name != 'config'})}", file=sys.stderr, flush=True)


def _reached(yardstick: Yardstick, target: float, rows: list[Row]) -> bool:
    return max(yardstick.worth(completed(rows)), default=0.0) >= target


def summary(run: dict[str, Any]) -> dict[str, Any]:
    """A run without its trials."""
    return {name: value for name, value in run.items() if name not in ("curves", "peer", "ours")}


if __name__ == "__main__":
    main()
