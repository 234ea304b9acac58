"""Trials per second through the store beside Optuna's RDB storage, on SQLite and PostgreSQL, and 64 writers at once."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos.postgres import Postgres
from benchmarks.store import Round, optuna_round, our_round
from service.errors import Unavailable
from service.store.records import NewTrial
from service.store.store import open_store
from workers.assignment import Outcome, Report

PROCESSES, THREADS = 8, 8
"""64 writers."""


def beside_optuna(trials: int, rounds: int) -> dict[str, Any]:
    """Trials/s of each side on both databases (median over rounds that take turns), and the ratios."""
    with tempfile.TemporaryDirectory(prefix="service-benchmark-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = Postgres(folder / "postgres", fsync=True)
        try:
            sqlite = f"sqlite:///{folder}"
            theirs = postgres.another("optuna")  # its tables have some of our names
            sides = {
                "sqlite": our_round(f"{sqlite}/ours.db", batched=False),
                "sqlite_optuna": optuna_round(f"{sqlite}/optuna.db", wal=False),
                "sqlite_optuna_wal": optuna_round(f"{sqlite}/optuna-wal.db", wal=True),
                "postgres": our_round(postgres.url, batched=False),
                "postgres_optuna": optuna_round(theirs.replace("postgresql:", "postgresql+psycopg:"), wal=False),
            }
            rates = _take_turns(sides, trials, rounds)
        finally:
            postgres.close()
    return {
        **{f"{side}_trials_per_s": round(rate, 1) for side, rate in rates.items()},
        "sqlite_ratio_to_optuna": round(rates["sqlite"] / rates["sqlite_optuna"], 1),
        "postgres_ratio_to_optuna": round(rates["postgres"] / rates["postgres_optuna"], 1),
    }


def _take_turns(sides: dict[str, Round], trials: int, rounds: int) -> dict[str, float]:
    for side in sides.values():
        side(5)  # compiled statements and caches
    rates: dict[str, list[float]] = {name: [] for name in sides}
    each = max(1, trials // rounds)
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            side(each)
            rates[name].append(each / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in rates.items()}


def many_writers(seconds: float) -> dict[str, Any]:
    """64 writers on one SQLite file for so long: trials/s together, and how many of their calls were refused."""
    with tempfile.TemporaryDirectory(prefix="service-benchmark-") as name:
        url = f"sqlite:///{name}/store.db"
        store = open_store(url)
        objectives = [{"metric": "accuracy", "direction": "maximize"}]
        job = store.set_job_state(store.create_job("writers", {"objectives": objectives}).id, "running").id
        store.close()
        with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            found = pool.starmap(_write, [(url, job, process, seconds) for process in range(PROCESSES)])
    return {
        "writers": PROCESSES * THREADS,
        "writers_trials_per_s": round(sum(done for done, _ in found) / seconds, 1),
        "lock_errors": sum(errors for _, errors in found),
    }


def _write(url: str, job: str, process: int, seconds: float) -> tuple[int, int]:
    store = open_store(url)
    done, errors = [0] * THREADS, [0] * THREADS
    until = time.monotonic() + seconds

    def work(thread: int) -> None:
        name = f"w{process}-{thread}"
        while time.monotonic() < until:
            try:
                store.add_trials(job, [NewTrial({"x": name}, "optimizer", 1)])
                trial = store.claim_trial(job, name, 600)
                if trial is None:
                    continue
                given = {"trial_id": trial.id, "attempt": trial.attempt}
                store.add_report(Report(**given, step=1, epoch=1, seconds=1, metrics={"accuracy": 0.5}))
                store.finish_trial(Outcome(**given, status="completed", metrics={"accuracy": 0.5}))
                done[thread] += 1
            except Unavailable:
                errors[thread] += 1

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    store.close()
    return sum(done), sum(errors)
