"""`python -m benchmarks.autopeft [--minutes N]`: record what is missing, then write `benchmarks/results/autopeft.json`.

A stopped run goes on where it was; `--export` trains nothing and writes what there is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

from benchmarks.autopeft.results import results
from benchmarks.autopeft.searches import DATA_SETS, FRESH_SEEDS, METHODS, TRIALS, plan, searches
from benchmarks.trials.__main__ import DATA, RECORDING
from benchmarks.trials.recording import Line, read_lines, recording

FOLDER = Path("build") / "autopeft"
RESULTS = Path(__file__).resolve().parents[1] / "results" / "autopeft.json"


def main() -> None:
    """Read the command line, record, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="recording and caches (default %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default %(default)s)")
    parser.add_argument("--only", choices=DATA_SETS, help="the searches on one data set: into a folder of its own")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file to write (default %(default)s)")
    parser.add_argument("--export", action="store_true", help="train nothing, only write what is recorded")
    given = parser.parse_args()
    if not given.export:
        record(given.folder, given.data, given.minutes, given.only)
    found = results(recorded(given.folder))
    given.results.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: found[key] for key in ("searches", "ahead_of", "transfer")}, indent=1))


def record(folder: Path, data: Path, minutes: float, only: str | None = None) -> None:
    """Train what is missing. Exits with a message when a data set is not there or another process records."""
    from benchmarks.trials.recorder import Recorder

    for name in DATA_SETS:
        if not (data / name).is_dir():
            raise SystemExit(f"no data set {name!r} in {data}: name the folder of the data sets with --data")
    warnings.simplefilter("ignore")
    chosen = [search for search in searches() if only in (None, search.data_set)]
    confirmed = len(chosen) + (len(DATA_SETS) - 1) * len(chosen) // len(METHODS)
    total = len(chosen) * TRIALS + confirmed * len(FRESH_SEEDS)
    try:
        with recording(folder / RECORDING) as file:
            recorder = Recorder(file, data, folder)
            left = recorder.record(plan(chosen, lambda: recorded(folder)), total, time.monotonic() + 60 * minutes)
    except BlockingIOError:
        raise SystemExit(f"another process is recording into {folder}") from None
    if left:
        print(f"{left} trials are still missing: run again to go on", file=sys.stderr)


def recorded(folder: Path) -> dict[str, Line]:
    """Every finished trial by its label."""
    return {line["label"]: line for line in read_lines(folder / RECORDING)}


if __name__ == "__main__":
    main()
