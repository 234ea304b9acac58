"""The dashboard with 50,000 trials of 16 parameters, in a real browser on the real service.

    python -m benchmarks.dashboard

Prints every figure beside its aim as it is measured and writes them, with a summary, to
`benchmarks/results/dashboard.json`. The trials are made first, in a database of their own (`--database` keeps it for
the next run). Needs a built dashboard and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.dashboard.browsing import browse, median_ms
from benchmarks.dashboard.many_trials import PARAMETERS, make_job
from benchmarks.dashboard.serving import served
from service.jobs.search import queries
from service.store.store import Store, open_store

RESULTS = Path(__file__).resolve().parents[1] / "results" / "dashboard.json"
AIMS = {
    "first_rows_s": 1.5,
    "first_chart_s": 1.5,
    "all_trials_s": 3.0,
    "brushable_s": 3.0,
    "pareto_ms": 50.0,
    "best_scan_ms": 100.0,
    "scroll_frame_ms": 16.7,
    "zoom_frame_ms": 16.7,
    "brush_frame_ms": 16.7,
    "first_page_kb": 500.0,
}
"""Figures that have one: at most so much. Frame times are medians; the 95th percentiles stand beside them."""


def main() -> None:
    """Make the trials, browse them, print and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50_000)
    parser.add_argument("--database", type=Path, help="a SQLite file that is made once and kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.database or Path(folder) / "many.db"
        store = open_store(database := f"sqlite:///{file}")
        job_id = _job(store, options.trials)
        # The front does not answer this clause: every trial is looked at. Asked of the store, as the trials are made up
        # and no code would train them.
        scan = median_ms(lambda: queries.best(store, job_id, None, None, ["latency_ms>=2.5"]))
        store.close()
        with served(database, Path(folder)) as url:
            figures: dict[str, dict[str, Any]] = {}
            for measured in chain([{"best_scan_ms": scan}], browse(url, job_id, options.trials)):
                for name, value in measured.items():
                    figures[name] = _beside_aim(name, value)
                    print(name, json.dumps(figures[name]), flush=True)
                options.out.write_text(json.dumps(_result(options.trials, figures), indent=1) + "\n")


def _result(trials: int, figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What has been measured so far, with a summary of the figures that have an aim."""
    told = {name: figure for name, figure in figures.items() if "aim" in figure}
    return {
        "trials": trials,
        "parameters": PARAMETERS,
        # Programs that wanted a core while it ran: with more of them than cores, times say little of the dashboard.
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "summary": {
            "aims": len(AIMS),
            "measured": len(told),
            "kept": sum(figure["kept"] for figure in told.values()),
            "missed": {
                name: f"{figure['value']:g}, aim {figure['aim']:g}"
                for name, figure in told.items()
                if not figure["kept"]
            },
        },
        "figures": figures,
    }


def _job(store: Store, trials: int) -> str:
    jobs = store.list_jobs().items
    if jobs and sum(jobs[0].counts.values()) == trials:
        return jobs[0].id
    print(f"making {trials:,} trials", flush=True)
    return make_job(store, trials)


def _beside_aim(name: str, value: float) -> dict[str, Any]:
    rounded = round(value, 3)
    return {"value": rounded} | ({"aim": AIMS[name], "kept": rounded <= AIMS[name]} if name in AIMS else {})


if __name__ == "__main__":
    main()
