"""Population-based training against as many independent runs at equal steps, with real training.

`python -m benchmarks.search.population` runs, for every seed, one job under each of `none`, `pbt` and `pb2` through the
conductor and a store, with the fast engine on a small sample of the built-in data. All three begin with the same random
configurations and train each trial for the same epochs; what differs is who goes on from whose checkpoint. One JSON
line for each scheduler and seed, and one for each comparison.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.search.scheduler_records import keep
from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.training.executor import Message
from service.jobs.search.spec import JobSpec
from service.store.store import open_store
from tests.service.conductor.computing_executor import ComputingExecutor
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Decision, Report
from workers.running.trial import train
from workers.running.workbench import Workbench

JOB: dict[str, Any] = {
    "name": "population",
    "task": {
        "model": "builtin:minilm",
        "train": "builtin:pydocs",
        "max_length": 24,
        "train_rows": 128,
        "validation_rows": 160,
    },
    "space": {"preset": "lora", "overrides": {"top_layers": {"value": 2}, "use_dora": {"value": False}}},
    "objectives": [{"metric": "loss", "direction": "minimize"}],
    "optimizer": {"name": "random"},
    "reference_trials": False,
}


def run(scheduler: str, seed: int, trials: int, epochs: int, bench: Workbench, proposer: Proposer) -> dict[str, Any]:
    """Run one job to its end; what its best trial reached."""
    spec = JobSpec.model_validate(
        JOB
        | {"scheduler": {"name": scheduler, "options": {} if scheduler == "none" else {"interval": 0.5}}, "seed": seed}
        | {"budget": {"trials": trials, "epochs": epochs}}
    )

    def trained(assignment: Assignment) -> list[Message]:
        messages: list[Message] = []
        plain = assignment.model_copy(update={"measure_latency": False})

        def keep(report: Report) -> Decision:
            messages.append(report)
            return "continue"

        outcome = train(plain, bench, keep)
        return [*messages, outcome]

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/jobs.db")
        job = store.create_job(spec.name, spec.model_dump(mode="json"))
        began = time.perf_counter()
        conductor = Conductor(store, ComputingExecutor(1, trained), proposer, "benchmark")
        while store.get_job(job.id).state in ("queued", "running"):
            conductor.tick(wait=0)
            time.sleep(0.001)
        ended = [trial for trial in store.searched_trials(job.id) if trial.state == "completed"]
        line = {
            "problem": "pydocs-128",
            "scheduler": scheduler,
            "seed": seed,
            "trials": len(ended),
            "epochs": epochs,
            "best_loss": round(min(trial.metrics["loss"] for trial in ended), 5),
            "best_accuracy": round(max(trial.metrics["accuracy"] for trial in ended), 5),
            "median_loss": round(float(np.median([trial.metrics["loss"] for trial in ended])), 5),
            "exploits": len(store.job_exploits(job.id)),
            "rows_trained": sum(128 * epochs for _ in ended),
            "seconds": round(time.perf_counter() - began, 1),
        }
        store.close()
    return line


def comparison(lines: list[dict[str, Any]], scheduler: str) -> dict[str, Any]:
    """How a scheduler stands against independent runs, seed by seed."""
    by_seed = {
        kind: {line["seed"]: line["best_loss"] for line in lines if line["scheduler"] == kind}
        for kind in ("none", scheduler)
    }
    gains = [by_seed["none"][seed] - by_seed[scheduler][seed] for seed in by_seed[scheduler]]
    return {
        "problem": "pydocs-128",
        "comparison": f"{scheduler} against none",
        "seeds": len(gains),
        "wins": sum(gain > 0 for gain in gains),
        "best_loss_gain_mean": round(float(np.mean(gains)), 5),
        "best_loss_gain_standard_error": round(float(np.std(gains, ddof=1) / np.sqrt(len(gains))), 5),
    }


def main() -> None:
    """Read the command line, run, print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedulers", nargs="+", default=["none", "pbt", "pb2"], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, help="keep the lines in this file, as its part `population`")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    proposer = Proposer()
    with tempfile.TemporaryDirectory() as home:
        bench = Workbench(Path(home), ArtifactStore(f"{home}/artifacts"))
        for seed in given.seeds:
            for scheduler in given.schedulers:
                lines.append(run(scheduler, seed, given.trials, given.epochs, bench, proposer))
                print(json.dumps(lines[-1]), flush=True)
    proposer.close()
    if len(given.seeds) > 1 and "none" in given.schedulers:
        for scheduler in given.schedulers:
            if scheduler != "none":
                lines.append(comparison(lines, scheduler))
                print(json.dumps(lines[-1]), flush=True)
    if given.out:
        keep(given.out, "population", lines)


if __name__ == "__main__":
    main()
