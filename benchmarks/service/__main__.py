"""`python -m benchmarks.service`: what the service bears, part by part, into a result file.

    python -m benchmarks.service --minutes 15
    python -m benchmarks.service --parts store http --out benchmarks/results/service.json

Each part is kept as soon as it is measured, and those that the file has are not measured again unless they are named;
what `--quick` has measured is no figure, and comes after what was never measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.beside_aims import Limits, by_hand, missed
from benchmarks.service import attacks, http_load, large, listeners, orchestration, stores

AIMS = {
    "sqlite_trials_per_s": "as many as Optuna's times 20",
    "sqlite_ratio_to_optuna": ">= 20",
    "postgres_trials_per_s": "as many as Optuna's times 20",
    "postgres_ratio_to_optuna": ">= 20",
    "lock_errors": "0",
    "http_p99_ms": "<= 100 at 83 requests/s, which 1,000 workers with trials of a minute make",
    "http_rate_at_100_ms": "stated",
    "healthz_p99_ms": "<= 100 under that load",
    "healthz_attacked_p99_ms": "<= 100 while brackets, endless lists and 45 costly fits are sent",
    "sse_core_share": "<= 0.10 of a core with 200 listeners",
    "slowest_ms": "<= 100 at 100,000 trials",
    "orchestration_overhead": "<= 0.05 over the ideal",
}
LIMITS: Limits = {
    "sqlite_ratio_to_optuna": (">=", 20),
    "postgres_ratio_to_optuna": (">=", 20),
    "lock_errors": ("<=", 0),
    "http_p99_ms": ("<=", 100),
    "healthz_p99_ms": ("<=", 100),
    "healthz_attacked_p99_ms": ("<=", 100),
    "sse_core_share": ("<=", 0.10),
    "slowest_ms": ("<=", 100),
    "orchestration_overhead": ("<=", 0.05),
}
"""The aims that are numbers."""

RATES = (50.0, 110.0, 140.0, 180.0, 230.0, 300.0, 400.0)


def parts(quick: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """What each part measures."""
    seconds = 4 if quick else 20
    return {
        "store": lambda: stores.beside_optuna(60 if quick else 200, 3 if quick else 10),
        "writers": lambda: stores.many_writers(seconds),
        "http": lambda: http_load.measure(seconds, RATES[:1] if quick else RATES),
        "healthz": lambda: {"healthz_p99_ms": http_load.healthz_under_load(seconds, http_load.USUAL_RATE)},
        "attacks": lambda: attacks.measure(seconds),
        "listeners": lambda: listeners.measure(seconds, 10),
        "replay": listeners.replay,
        "large": lambda: large.measure(10_000 if quick else 100_000),
        "orchestration": lambda: orchestration.measure(64 if quick else 1600, 16),
    }


def main() -> None:
    """Measure the parts asked for, keep them with those measured before, and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(parts(False)), help="measure these, known or not")
    parser.add_argument("--minutes", type=float, default=15, help="begin no further part after this long")
    parser.add_argument("--quick", action="store_true", help="small sizes, whose figures are not kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/service.json"))
    arguments = parser.parse_args()
    before: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"parts": {}}
    known: dict[str, Any] = before["parts"]
    deadline = time.monotonic() + 60 * arguments.minutes
    for name in arguments.parts or (list(parts(True)) if arguments.quick else lacking(known)):
        if time.monotonic() > deadline:
            break
        load, began = os.getloadavg()[0], time.monotonic()
        found = parts(arguments.quick)[name]()
        known[name] = {**found, "load_before": round(load, 1), "took_s": round(time.monotonic() - began, 1)}
        print(json.dumps({name: known[name]}), flush=True)
        if not arguments.quick:
            arguments.out.write_text(json.dumps(_document(known, before), indent=1) + "\n")
    json.dump(_document(known, before)["summary"], sys.stdout, indent=2)
    print()


def lacking(known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The parts to measure, those that there is no figure of first."""
    unmeasured = [name for name in parts(False) if name not in known]
    return [*unmeasured, *(name for name, part in known.items() if part.get("quick") and name in parts(False))]


def _document(found: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The result file of these parts; what people wrote into the one before stays."""
    figures = {name: value for part in found.values() for name, value in part.items()}
    machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
    summary = {name: figures.get(name) for name in AIMS} | {"missed": missed(figures, LIMITS, before), "aims": AIMS}
    return {"benchmark": "service", "summary": summary, "machine": machine, "parts": found, **by_hand(before)}


if __name__ == "__main__":
    main()
