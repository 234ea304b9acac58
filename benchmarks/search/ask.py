"""How long `POST /v1/jobs/{id}/ask` takes while suggestions are prepared: `python -m benchmarks.search.ask`.

The real service on SQLite, in processes of its own: a job of 16 mixed parameters and two objectives with 1,000 finished
trials, and 8 workers that each ask, take a few seconds for a trial, tell, and ask again. Every second of a worker is a
second in which the optimizer may work ahead, so the time of a trial is part of the question; it is printed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from service.store.records import NewTrial
from service.store.store import open_store
from workers.assignment import Outcome

SPEC: dict[str, Any] = {
    "name": "ask",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
    "space": {
        "preset": "lora",
        "parameters": [
            {"type": "float", "name": "label_smoothing", "low": 0.0, "high": 0.2},
            {"type": "float", "name": "max_grad_norm", "low": 0.1, "high": 10.0, "scale": "log"},
            {"type": "ordinal", "name": "gradient_accumulation", "values": [1, 2, 4]},
            {"type": "float", "name": "power_amplitude", "low": 1.0, "high": 10.0, "scale": "log"},
        ],
    },
    "objectives": [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "trainable_params", "direction": "minimize"},
    ],
    "optimizer": {"name": "auto"},
    "budget": {"trials": 1_000_000},
    "resources": {"executor": "external"},
    "reference_trials": False,
}
AIM = 50.0  # milliseconds


def accuracy(config: Mapping[str, Any]) -> float:
    """A smooth function of the configuration that stands for training."""
    rate: float = -0.08 * (math.log10(config["learning_rate"]) + 3.2) ** 2
    size: float = 0.1 * (1 - math.exp(-config["rank"] / 8)) * config["top_layers"] / 6
    drawback: float = 0.1 * config["dropout"] + 0.2 * config["label_smoothing"]
    return 0.75 + rate + size - drawback


def prepare(home: Path, finished: int) -> tuple[str, int]:
    """A job with that many finished trials, its id and the number of its free parameters."""
    spec = JobSpec.model_validate(SPEC)
    problem = build_problem(spec)
    store = open_store(Settings.read({"home": home}, {}).database)
    job = store.create_job(spec.name, spec.model_dump(mode="json"))
    store.set_job_state(job.id, "running")
    rng = np.random.default_rng(0)
    configs = problem.space.sample(finished, rng)
    for trial in store.add_trials(job.id, [NewTrial(config, "optimizer", 0) for config in configs]):
        claimed = store.claim_trial(job.id, "before", 60, trial.id)
        assert claimed is not None
        metrics = {
            "accuracy": accuracy(trial.config) + 0.005 * float(rng.standard_normal()),
            "trainable_params": problem.known["trainable_params"](trial.config),
        }
        store.finish_trial(Outcome(trial_id=trial.id, attempt=claimed.attempt, status="completed", metrics=metrics))
    store.close()
    return job.id, len({column.parameter for column in problem.space.columns})


@dataclass
class Answers:
    """What all workers were answered after the warm-up: milliseconds of each ask, and how often nothing was ready."""

    milliseconds: list[float] = field(default_factory=list)
    nothing_ready: int = 0


def ask_and_tell(
    url: str, job_id: str, number: int, trial_seconds: float, warm: float, until: float, found: Answers
) -> None:
    """One worker, from now until `until`; what it is answered counts from `warm` on (monotonic seconds)."""
    rng = np.random.default_rng(number)
    with httpx.Client(base_url=url) as client:
        while (now := time.monotonic()) < until:
            start = time.perf_counter()
            answer = client.post(f"/v1/jobs/{job_id}/ask", json={"worker_id": f"w{number}"})
            if now >= warm:
                found.milliseconds.append(1000 * (time.perf_counter() - start))
                found.nothing_ready += answer.status_code == 204
            if answer.status_code == 204:
                time.sleep(0.5)
                continue
            trial = answer.raise_for_status().json()
            time.sleep(trial_seconds * (0.5 + float(rng.random())))
            told = {"trial_id": trial["trial_id"], "attempt": trial["attempt"], "status": "completed"}
            metrics = {"accuracy": accuracy(trial["config"]), "trainable_params": 1.0}
            client.post(f"/v1/trials/{trial['trial_id']}/tell", json={**told, "metrics": metrics}).raise_for_status()


def measure(finished: int, askers: int, trial_seconds: float, warmup: float, seconds: float) -> dict[str, Any]:
    """Run the service and the workers for so many seconds after the warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        job_id, parameters = prepare(home, finished)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "service.serve", f"--home={home}", f"--port={port}", "--no-auth"]
        with (home / "log").open("w") as log:
            service = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            found = _ask_all(f"http://127.0.0.1:{port}", job_id, askers, trial_seconds, warmup, seconds)
        finally:
            os.killpg(service.pid, signal.SIGINT)
            service.wait(60)
    p50, p95, p99 = np.percentile(found.milliseconds, [50, 95, 99])
    return {
        "finished_trials": finished,
        "parameters": parameters,
        "askers": askers,
        "trial_seconds": trial_seconds,
        "asks": len(found.milliseconds),
        "nothing_ready": found.nothing_ready,
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "p99_ms": round(float(p99), 1),
        "aim_p95_ms": AIM,
    }


def _ask_all(url: str, job_id: str, askers: int, trial_seconds: float, warmup: float, seconds: float) -> Answers:
    _await_suggestion(url, job_id)
    found, warm = Answers(), time.monotonic() + warmup
    workers = [
        threading.Thread(target=ask_and_tell, args=(url, job_id, number, trial_seconds, warm, warm + seconds, found))
        for number in range(askers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


def _await_suggestion(url: str, job_id: str) -> None:
    """Until the service has prepared its first suggestions."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            job = httpx.get(f"{url}/v1/jobs/{job_id}").json()
            if job["progress"]["queued"] > 0:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise TimeoutError("the service prepared no suggestion within 120 s")


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=1000)
    parser.add_argument("--askers", type=int, default=8)
    parser.add_argument("--trial-seconds", type=float, default=10.0, help="mean time of a trial")
    parser.add_argument("--warmup", type=float, default=15.0, help="seconds before answers count: all begin at once")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    print(json.dumps(measure(given.finished, given.askers, given.trial_seconds, given.warmup, given.seconds)))


if __name__ == "__main__":
    main()
