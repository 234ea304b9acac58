"""A scene with the service as a user runs it: `service.serve` with its conductor, Ray and real (small) trainings."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.chaos.checker import check
from benchmarks.chaos.processes import Child, Supervision, free_port
from benchmarks.chaos.scene import Played, await_end
from peftsearch import Client
from peftsearch.errors import PeftsearchError

STANDSTILL = 420.0
"""Seconds in which nothing happens to a job before it counts as one that never ends."""

Family = list[psutil.Process]


def _named(family: Family, *parts: str) -> Family:
    """Processes whose command line has one of the parts."""
    found = []
    for one in family:
        with suppress(psutil.Error):
            if any(part in " ".join(one.cmdline()) for part in parts):
                found.append(one)
    return found


def kill_trial_worker(family: Family, rng: random.Random) -> Family:
    """A Ray worker that trains."""
    found = _named(family, "ray::TrialWorker", "ray::")
    return [rng.choice(found)] if found else []


def kill_raylet(family: Family, rng: random.Random) -> Family:
    """Ray's node manager."""
    del rng
    return _named(family, "raylet/raylet")


def kill_gcs(family: Family, rng: random.Random) -> Family:
    """Ray's control store."""
    del rng
    return _named(family, "gcs_server")


def kill_conductor(family: Family, rng: random.Random) -> Family:
    """The conductor, whose Ray goes with it."""
    del rng
    return _named(family, "service.conductor")[:1]


def kill_everything(family: Family, rng: random.Random) -> Family:
    """The whole service at once."""
    del rng
    return family


FAULTS: tuple[Callable[[Family, random.Random], Family], ...] = (
    kill_trial_worker,
    kill_conductor,
    kill_raylet,
    kill_trial_worker,
    kill_gcs,
    kill_everything,
)


def play(seed: int, trials: int, points: int, gap: float) -> Played:
    """Play it with so many faults, about `gap` seconds apart."""
    rng = random.Random(f"ray-{seed}")
    order = [fault for _ in range(points // len(FAULTS) + 1) for fault in rng.sample(FAULTS, len(FAULTS))]
    with tempfile.TemporaryDirectory(prefix="chaos-ray-", ignore_cleanup_errors=True) as name:
        home, port = Path(name) / "home", free_port()
        home.mkdir()
        given = [f"--home={home}", f"--port={port}", "--no-auth", f"--data-root={name}"]
        service = Child("service", ["service.serve", *given], {}, Path(name) / "serve.log").start()
        done: list[str] = []
        stop = threading.Event()
        supervision = Supervision(lambda: [service])
        supervision.start()
        try:
            with Client(f"http://127.0.0.1:{port}", "") as client:
                _await(lambda: client.health(ready=True), STANDSTILL)
                job_id = client.submit(_job(trials)).id
                began = time.monotonic()
                # Faults begin when it has begun to train: before that there is little to lose.
                _await(lambda: client.job(job_id).progress.completed >= 1, STANDSTILL)
                harm = threading.Thread(target=_harm, args=(service, order, points, gap, rng, done, stop))
                harm.start()
                await_end(client.url, job_id, STANDSTILL, f"logs are in {name}")
                seconds = time.monotonic() - began
        finally:
            stop.set()
            if "harm" in locals():
                harm.join()
            supervision.stop()
            service.end()
        verdict = check(f"sqlite:///{home}/peftsearch.db", str(home / "artifacts"), job_id, trials, None)
    return Played(seconds, done, verdict)


def _await(true: Callable[[], Any], within: float) -> None:
    deadline = time.monotonic() + within
    while True:
        with suppress(PeftsearchError):
            if true():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s")
        time.sleep(0.1)


def _harm(
    service: Child,
    order: list[Callable[[Family, random.Random], Family]],
    points: int,
    gap: float,
    rng: random.Random,
    done: list[str],
    stop: threading.Event,
) -> None:
    for fault in order:
        if len(done) == points or stop.wait(gap * rng.uniform(0.5, 1.5)):
            return
        assert service.process is not None
        family = [psutil.Process(service.process.pid), *service.children()]
        if _kill(fault(family, rng)):
            done.append(f"ray_{fault.__name__}")


def _kill(victims: Family) -> bool:
    """First all are frozen, so that none can clean up after another."""
    for sent in (signal.SIGSTOP, signal.SIGKILL):
        for one in victims:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                os.kill(one.pid, sent)
    psutil.wait_procs(victims, timeout=10)
    return bool(victims)


def _job(trials: int) -> dict[str, Any]:
    task = {"model": "builtin:minilm", "train": "builtin:pydocs", "train_rows": 240, "validation_rows": 60}
    return {
        "name": "chaos",
        "task": {**task, "max_length": 32},
        "space": {"preset": "lora", "overrides": {"batch_size": {"value": 8}}},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "optimizer": {"name": "random"},
        "budget": {"trials": trials, "epochs": 2},
        "resources": {"max_attempts": 10, "pack": 1},
    }
