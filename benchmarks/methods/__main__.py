"""`python -m benchmarks.methods [--quick]`: tune, confirm and report every registered method on real data.

Every method gets the same budget: the configurations of `benchmarks.trials.plan` on each data set, recorded by the same
recorder into the same recording and table, so nothing is trained twice and a stopped run goes on where it was. The one
with the best validation accuracy is trained again with fresh seeds and measured on test rows. Writes
`benchmarks/results/methods.json`, docs/images/methods-pareto.svg and the measured part of docs/methods.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.methods.picture import picture
from benchmarks.methods.results import front, results
from benchmarks.methods.tuning import TRIALS, tuned, tuning_entries
from benchmarks.trials.__main__ import DATA, FOLDER, RECORDING, record
from benchmarks.trials.plan import Entry, comparable
from benchmarks.trials.recording import read_lines
from benchmarks.trials.table import TABLE, RecordedTrial, trials, trials_of, write_table
from workers.methods.measured import MEASURED
from workers.methods.page import page
from workers.methods.registry import methods

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    """Read the command line, record what is missing, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="recording and caches (default %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default %(default)s)")
    parser.add_argument("--table", type=Path, default=TABLE, help="the table of trials (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="train no longer than this")
    parser.add_argument("--export", action="store_true", help="train nothing, only write what is recorded")
    parser.add_argument("--quick", action="store_true", help="four minutes of training, then what there is so far")
    given = parser.parse_args()
    if not given.export:
        measure(given.folder, given.data, given.table, 4 if given.quick else given.minutes)
    write_table(read_lines(given.folder / RECORDING), given.table)
    measured = results(comparable(methods().values()), _recorded(given.folder, given.table).values())
    write(measured)
    summary = {
        "measured": len(measured["methods"]),
        "missing": measured["missing"],
        "front": front(measured["methods"]),
        "best": next(iter(measured["methods"].items()), None),
    }
    print(json.dumps(summary, indent=1))


def measure(folder: Path, data: Path, table: Path, minutes: float) -> None:
    """Record what is missing, one method after another: its tuning, then its confirmation."""
    left = record(_entries(folder, table), len(comparable(methods().values())) * TRIALS, folder, data, minutes, table)
    if left:
        print(f"{left} trials are still missing: run again to go on", file=sys.stderr)


def _entries(folder: Path, table: Path) -> Iterator[Entry]:
    """Every trial of the comparison; those that confirm are known once the method's tuning is recorded."""
    for one in comparable(methods().values()):
        yield from tuning_entries(one)
        best = tuned(one, _recorded(folder, table))
        yield from best.confirmations() if best else ()


def write(measured: dict[str, Any]) -> None:
    """Write the results, the picture (when there is something to draw) and the page."""
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
    if measured["methods"]:
        (DOCS / "images" / "methods-pareto.svg").write_text(picture(measured["methods"]))
    (DOCS / "methods.md").write_text(page(measured))


def _recorded(folder: Path, table: Path) -> dict[str, RecordedTrial]:
    """Every trial so far, by key: those of the table and those of the recording."""
    splits = ("validation", "test") if table.is_file() else ()
    stored = [one for split in splits for one in trials(split=split, table=table)]
    return {one.key: one for one in (*stored, *trials_of(read_lines(folder / RECORDING)))}


if __name__ == "__main__":
    main()
