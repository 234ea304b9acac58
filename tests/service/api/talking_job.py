"""A job of a language model that writes a little: one trial has really trained, one waits."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi.testclient import TestClient

from service.settings import Settings
from service.store.records import NewTrial
from service.store.store import Store
from tests.workers.tiny_language_model import save_tiny_llama
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.running.trial import train
from workers.running.workbench import Workbench


def talking_job(api: TestClient, store: Store, settings: Settings) -> dict[str, str]:
    """A job with a trial that has trained, and one that waits: their ids."""
    root = Path(settings.data_roots[0])
    save_tiny_llama(root / "model")
    lines = [{"prompt": f"{number}:", "completion": " the cat"} for number in range(40)]
    (root / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    task = {"type": "causal-lm", "model": "model", "train": "rows.jsonl", "validation": 0.2, "max_length": 64}
    config = {"method": "lora", "rank": 4, "learning_rate": 0.02, "batch_size": 8, "warmup_ratio": 0.0}
    spec = {"name": "talk", "task": task, "space": {"preset": "lora-sft", "overrides": {"batch_size": {"value": 8}}}}
    made = api.post("/v1/jobs", json=spec | {"objectives": [{"metric": "loss", "direction": "minimize"}]}).json()
    assert store.lease_job("conductor", 600) is not None
    trained, waiting = store.add_trials(made["id"], [NewTrial(config, "optimizer", seed) for seed in (0, 1)])
    claimed = store.claim_trial(made["id"], "w", 600, trial_id=trained.id)
    assert claimed is not None
    assignment = Assignment.model_validate(
        {"trial_id": trained.id, "attempt": claimed.attempt, "task": made["spec"]["task"], "config": config}
        | {"epochs": 1, "seed": 0, "measure_latency": False, "precision": "fp32"}
    )
    bench = Workbench(Path(settings.home), ArtifactStore(settings.artifacts))
    outcome: Outcome = train(assignment, bench, lambda _report: "continue")
    assert outcome.status == "completed", outcome.reason
    store.finish_trial(outcome)
    return {"job": made["id"], "trained": trained.id, "waiting": waiting.id}
