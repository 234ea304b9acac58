"""`python -m benchmarks.trials`: record real PEFT trials, and turn the recording into the table of this repository.

A recording goes on where it stopped, after `kill -9` too; what the table already has is not trained again. At the end,
or with `--export` at any time, `benchmarks/tables/peft_trials.parquet` is written from both.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

from benchmarks.trials.plan import DATA_SETS, Entry, plan
from benchmarks.trials.recording import read_lines, recording
from benchmarks.trials.table import TABLE, keys, write_table

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "text"
FOLDER = Path("build") / "record-trials"
RECORDING = "trials.jsonl"


def main() -> None:
    """Read the command line, record, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="recording and caches (default %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--export", action="store_true", help="train nothing, only renew the table")
    parser.add_argument("--table", type=Path, default=TABLE, help="the Parquet file (default %(default)s)")
    given = parser.parse_args()
    if not given.export:
        entries = list(plan())
        record(entries, len(entries), given.folder, given.data, given.minutes, given.table)
    print(json.dumps(write_table(read_lines(given.folder / RECORDING), given.table), indent=1))


def record(entries: Iterable[Entry], total: int, folder: Path, data: Path, minutes: float, table: Path = TABLE) -> int:
    """Train those of `entries` that neither the recording in `folder` nor the table has; how many of `total` are left.

    Exits with a message when a data set is not below `data` or another process records into `folder`.
    """
    from benchmarks.trials.recorder import Recorder

    for name in DATA_SETS:
        if not (data / name).is_dir():
            raise SystemExit(f"no data set {name!r} in {data}: name the folder of the data sets with --data")
    warnings.simplefilter("ignore")
    try:
        with recording(folder / RECORDING) as file:
            return Recorder(file, data, folder, keys(table)).record(entries, total, time.monotonic() + 60 * minutes)
    except BlockingIOError:
        raise SystemExit(f"another process is recording into {folder}") from None


if __name__ == "__main__":
    main()
