"""Measure every answer that can be held against public runs, and write benchmarks/results/answers.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: more threads only wait for one another

from benchmarks.answers import confirmation, mixture_job, regmix, step_law, transfer, worked

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
OUT = ROOT / "benchmarks" / "results" / "answers.json"


def main() -> None:
    """Read the command line, run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some sizes and one loss: at most three minutes")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with public runs (hpo) and text (lm)")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", nargs="+", help="parts to measure; the others keep the figures that the file holds")
    given = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {"worked_values": worked.measure}
    if (given.data / "hpo").is_dir():
        parts["mixtures"] = lambda: regmix.measure(given.data, given.quick)
        parts["transfer"] = lambda: transfer.measure(given.data, given.quick)
        parts["confirmation"] = lambda: confirmation.measure(given.data, given.quick)
        parts["step_law"] = lambda: step_law.measure(given.data, given.quick)
        parts["mixture_job"] = lambda: mixture_job.measure(given.data, given.quick)
    else:
        print(f"no public runs at {given.data}: only the worked values are measured", file=sys.stderr)
    found: dict[str, Any] = {
        "quick": given.quick,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
    }
    if given.only is not None:
        known = json.loads(given.out.read_text()) if given.out.is_file() else {}
        found = {**known, **found, "quick": known.get("quick", given.quick)}
        parts = {name: measure for name, measure in parts.items() if name in given.only}
    for name, measure in parts.items():
        start = time.perf_counter()
        measured = measure()
        found[name] = measured | {"quick": given.quick, "seconds": round(time.perf_counter() - start, 1)}
        print(name, json.dumps(found[name]), flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
