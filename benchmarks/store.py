"""Trials per second through the store, beside Optuna's RDB storage on SQLite, in one run on one machine.

    python -m benchmarks.store --trials 200

Each trial has 10 parameters, is claimed, reports 5 times and completes; every report is a transaction of its own on
both sides. Ours does more per trial: a lease, two objectives with their front, and events. Optuna's sampler is the
random one, so that no time goes into choosing. The sides take turns in rounds of equal size and the medians of the
rounds are compared, so a busy machine slows both. `optuna_wal` is Optuna with the SQLite settings that we use (WAL,
synchronous=NORMAL), which Optuna does not set by itself; `ours_batched` sends a trial's reports in one call.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARAMETERS = 10
REPORTS = 5
Round = Callable[[int], None]


def our_round(url: str, batched: bool) -> Round:
    """A round of `n` trials through our store at `url`."""
    from service.store.records import NewTrial
    from service.store.store import open_store
    from workers.assignment import Outcome, Report

    store = open_store(url)
    objectives = [{"metric": "accuracy", "direction": "maximize"}, {"metric": "params", "direction": "minimize"}]
    job = store.set_job_state(store.create_job("benchmark", {"objectives": objectives}).id, "running")

    def run(n: int) -> None:
        for seed in range(n):
            config = {f"x{i}": (seed * (i + 7) % 101) / 101 for i in range(PARAMETERS)}
            store.add_trials(job.id, [NewTrial(config, "optimizer", seed)])
            trial = store.claim_trial(job.id, "worker", ttl=60)
            assert trial is not None
            given = {"trial_id": trial.id, "attempt": trial.attempt}
            reports = [
                Report(**given, step=step, epoch=step, seconds=step, metrics={"accuracy": config["x0"] * step})
                for step in range(REPORTS)
            ]
            for batch in [reports] if batched else [[report] for report in reports]:
                store.add_reports(batch)
            metrics = {"accuracy": config["x0"], "params": config["x1"]}
            store.finish_trial(Outcome(**given, status="completed", metrics=metrics))

    return run


def optuna_round(url: str, wal: bool) -> Round:
    """A round of `n` trials through Optuna's RDB storage at `url`."""
    import optuna
    from sqlalchemy import event

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    if wal:
        event.listen(storage.engine, "connect", _set_wal)
        storage.engine.dispose()
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(0), direction="maximize")

    def run(n: int) -> None:
        for _ in range(n):
            trial = study.ask()
            values = [trial.suggest_float(f"x{i}", 0, 1) for i in range(PARAMETERS)]
            for step in range(REPORTS):
                trial.report(values[0] * step, step)
            study.tell(trial, values[0])

    return run


def _set_wal(connection: sqlite3.Connection, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def measure(trials: int, rounds: int) -> dict[str, Any]:
    """Trials per second of each side (median over rounds) and the ratios."""
    with tempfile.TemporaryDirectory(prefix="store-benchmark-") as name:
        folder = Path(name)
        sides = {
            "ours": our_round(f"sqlite:///{folder}/ours.db", batched=False),
            "ours_batched": our_round(f"sqlite:///{folder}/ours-batched.db", batched=True),
            "optuna": optuna_round(f"sqlite:///{folder}/optuna.db", wal=False),
            "optuna_wal": optuna_round(f"sqlite:///{folder}/optuna-wal.db", wal=True),
        }
        for side in sides.values():
            side(5)  # compiled statements and caches
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                started = time.perf_counter()
                side(max(1, trials // rounds))
                rates[name].append(max(1, trials // rounds) / (time.perf_counter() - started))
    median = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "benchmark": "store",
        "what": f"trials/s, {PARAMETERS} parameters, {REPORTS} reports, SQLite, one process",
        "trials": trials,
        "rounds": rounds,
        "trials_per_second": {name: round(value, 1) for name, value in median.items()},
        "ratio": round(median["ours"] / median["optuna"], 2),
        "ratio_batched": round(median["ours_batched"] / median["optuna"], 2),
        "ratio_to_optuna_wal": round(median["ours"] / median["optuna_wal"], 2),
        "aim": 20,
        "machine": {
            "cpus": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
        },
    }


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="trials of each side")
    parser.add_argument("--rounds", type=int, default=10, help="turns that they are split into")
    arguments = parser.parse_args()
    json.dump(measure(arguments.trials, arguments.rounds), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
