"""`python -m benchmarks.engine`: the fast engine and whole searches beside Trainer, peft and Optuna, in one run.

Four parts: `trials`, `packs`, `memory`, `search`; each module says what it measures and how. The record goes to
`benchmarks/results/engine.json` (`engine.quick.json` with --quick) as it grows, the summary to stdout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine import search as searches
from benchmarks.engine.endurance import measure_endurance
from benchmarks.engine.ours import MODEL
from benchmarks.engine.packs import SIZES, measure_packs
from benchmarks.engine.record import Record, conditions_now
from benchmarks.engine.summary import machine, summarise
from benchmarks.engine.trials import measure_trials
from workers.tasks.catalogue.text_classification import TextClassificationSpec

RESULTS = Path(__file__).parents[1] / "results"
PARTS = ("trials", "packs", "memory", "search")
ROWS = {"full": (192, 64), "quick": (64, 32)}  # training and validation rows of the first three parts
STRIDE = {"full": 1, "quick": 3}  # between the configurations of `trials` that are measured
ENDURANCE = {"full": 100, "quick": 20}  # trials


def main() -> None:
    """Measure what was asked for and print the summary."""
    given = _arguments()
    form = "quick" if given.quick else "full"
    output = given.output or RESULTS / ("engine.quick.json" if given.quick else "engine.json")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    record = Record(output, given.resume, given.minutes)
    own = hashlib.sha256(str(output.absolute()).encode()).hexdigest()[:8]  # runs with other records leave it alone
    scratch = {part: Path(tempfile.gettempdir()) / f"peftsearch-bench-engine-{own}" / part for part in PARTS}
    parts = given.only or PARTS
    if not given.resume:
        _clear(scratch[part] for part in parts)
    complete = [_measure(record, part, form, scratch[part], given.seeds) for part in parts]
    if "machine" not in record.content or not given.resume:
        record.content["machine"] = machine()
    default = record.content["machine"]["default_precision"]
    record.content = {"summary": summarise(record.parts, default), **record.content}
    record.content["summary"] = summarise(record.parts, default)
    record.save()
    print(json.dumps(record.content["summary"], indent=1))
    if not all(complete):
        sys.exit("time is up; go on with --resume")
    _clear(scratch[part] for part in parts)


def _clear(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(record: Record, name: str, form: str, home: Path, seeds: int) -> bool:
    """Measure one part, or what is left of it; whether it is complete."""
    rows, size = ROWS[form], searches.SIZES[form]
    task = TextClassificationSpec(
        model=MODEL, train="builtin:pydocs", max_length=64, train_rows=rows[0], validation_rows=rows[1]
    )
    part = record.open(name, {"quick": form == "quick", **(asdict(size) if name == "search" else {"rows": list(rows)})})
    if part["complete"] or record.time_is_up:
        return bool(part["complete"])
    started = time.monotonic()
    part |= conditions_now()
    if name == "trials":
        part["complete"] = measure_trials(record, part, task, home, STRIDE[form])
    elif name == "packs":
        part["complete"] = measure_packs(record, part, task, home, SIZES[form])
    elif name == "memory":
        measure_endurance(part, task, home, ENDURANCE[form])
        part["complete"] = True
    else:
        part["complete"] = searches.measure_search(record, part, size, home, seeds)
    part["seconds"] = round(part["seconds"] + time.monotonic() - started, 1)
    record.save()
    return bool(part["complete"])


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows and trials: at most 5 minutes on 2 cores")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these parts and keep the others of the file")
    parser.add_argument("--resume", action="store_true", help="keep what the file has under the same conditions")
    parser.add_argument("--minutes", type=float, help="begin nothing after this long; go on with --resume")
    parser.add_argument("--seeds", type=int, default=1, help="searches, of both sides")
    parser.add_argument("--output", type=Path, help="the record (benchmarks/results/engine.json)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
