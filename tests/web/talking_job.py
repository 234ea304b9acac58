"""A job whose model writes: its only trial has really trained. Needs torch, unlike the other stand-ins."""

from __future__ import annotations

import json
from pathlib import Path

from service.store.store import Store
from tests.web.search import Search
from tests.workers.tiny_language_model import save_tiny_llama
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Assignment, Outcome
from workers.running.trial import train
from workers.running.workbench import Workbench

TALKING = {"method": "lora", "rank": 4, "learning_rate": 0.02, "batch_size": 8, "warmup_ratio": 0.0}


def talking_job(store: Store, data_root: Path) -> Search:
    """A job of a tiny language model whose only trial has an adapter."""
    save_tiny_llama(data_root / "model")
    rows = [{"prompt": f"{number}:", "completion": " the cat"} for number in range(40)]
    (data_root / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = {"model": str(data_root / "model"), "train": str(data_root / "rows.jsonl")}
    task = {"type": "causal-lm", "validation": 0.2, "max_length": 64, **files}
    artifacts = ArtifactStore(str(data_root / "home" / "artifacts"))
    objectives = [{"metric": "loss", "direction": "minimize"}]
    search = Search(store, artifacts, data_root, task=task, objectives=objectives)
    search.start()
    claimed = search.claim(search.suggest(TALKING))
    adapter = _trained(data_root, task)
    ended = {"trial_id": claimed.id, "attempt": claimed.attempt, "status": "completed", "adapter": adapter}
    store.finish_trial(Outcome.model_validate(ended | {"metrics": {"loss": 1.0}}))
    return search


def _trained(data_root: Path, task: dict[str, object]) -> Artifact:
    """The adapter of a tiny language model, in the service's store."""
    bench = Workbench(data_root / "home", ArtifactStore(str(data_root / "home" / "artifacts")))
    assignment = Assignment.model_validate(
        {"trial_id": "j-0", "attempt": 1, "task": task, "config": TALKING, "epochs": 1, "seed": 0}
        | {"measure_latency": False, "precision": "fp32"}
    )
    outcome = train(assignment, bench, lambda _report: "continue")
    assert outcome.adapter is not None, outcome.reason
    return outcome.adapter
