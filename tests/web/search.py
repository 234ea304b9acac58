"""Plays the conductor and the workers of one job: everything goes through the store, as theirs does."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from service.store.records import Job, NewTrial, Trial
from service.store.store import Store
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Outcome, Report
from workers.generation.section import ANSWERS_FILE

SPEC: dict[str, Any] = {
    "name": "a search",
    "kind": "search",
    "task": {"type": "text-classification", "model": "builtin:minilm", "train": "builtin:pydocs", "label": "label"},
    "space": {"preset": "lora", "overrides": {}},
    "objectives": [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "trainable_params", "direction": "minimize"},
    ],
    "budget": {"trials": 40, "epochs": 2.0},
}
REPORTS = 4
ANSWERS: dict[str, Any] = {
    "rows": 2,
    "metrics": {"exact_match": 0.5},
    "base_metrics": {"exact_match": 0.0},
    "answers": [
        {
            "row": 7,
            "prompt": "What is 6 times 7?",
            "reference": "42",
            "answer": "It is 42.",
            "scores": {"exact_match": 1.0},
            "base": {"answer": "A number.", "scores": {"exact_match": 0.0}},
        }
    ],
}
"""What an adapter's model answered, kept beside its weights."""


class Search:
    """One job, from suggestions to results. `changes` to the spec: None takes a field away."""

    def __init__(self, store: Store, artifacts: ArtifactStore, folder: Path, **changes: Any) -> None:
        self.store, self.artifacts, self.folder = store, artifacts, folder
        spec = {name: value for name, value in {**SPEC, **changes}.items() if value is not None}
        self.job: Job = store.create_job(spec["name"], spec)

    def start(self) -> None:
        """Make the job running, as a conductor does."""
        assert self.store.lease_job("conductor", 600) is not None

    def begin(self) -> str:
        """Make the job running and end the two reference trials; returns the job's id."""
        self.start()
        self.complete(self.suggest({"method": "head"}, "reference", "head-only"), 0.475, 0)
        default = {"method": "lora", "rank": 8, "learning_rate": 2e-4}
        self.complete(self.suggest(default, "reference", "literature-default"), 0.66, 73_728)
        return self.job.id

    def suggest(self, config: dict[str, Any], origin: Any = "optimizer", label: str | None = None) -> Trial:
        """Store a queued trial."""
        (trial,) = self.store.add_trials(self.job.id, [NewTrial(config, origin, seed=0, label=label)])
        return trial

    def lora(self, rank: int) -> Trial:
        """Suggest a LoRA of this rank."""
        return self.suggest({"method": "lora", "rank": rank, "targets": "qv", "learning_rate": 3e-4})

    def confirm(self, trial: Trial, accuracies: list[float]) -> None:
        """Train a trial of the search again, once for each accuracy."""
        for seed, accuracy in enumerate(accuracies, start=100):
            new = NewTrial(trial.config, "confirmation", seed, trial.label, trial.id)
            (again,) = self.store.add_trials(self.job.id, [new])
            self.complete(again, accuracy, int(trial.metrics["trainable_params"]))

    def claim(self, trial: Trial) -> Trial:
        """A worker takes the trial."""
        claimed = self.store.claim_trial(self.job.id, f"worker of {trial.id}", 600, trial_id=trial.id)
        assert claimed is not None
        return claimed

    def report(self, trial: Trial, step: int, accuracy: float) -> None:
        """The worker tells how far it has come."""
        metrics = {"accuracy": accuracy, "loss": math.exp(-step), "train_loss": math.exp(-step) * 0.9}
        report = Report(
            trial_id=trial.id, attempt=trial.attempt, step=step, epoch=step / 2, metrics=metrics, seconds=step
        )
        self.store.add_reports([report])

    def complete(self, trial: Trial, accuracy: float, params: int, adapter: bool = False) -> Trial:
        """A worker takes the trial, reports and ends it well."""
        claimed = self.claim(trial)
        for step in range(1, REPORTS + 1):
            self.report(claimed, step, accuracy * (1 - 0.3 * math.exp(-step)))
        return self.finish(claimed, accuracy, params, adapter)

    def pause(self, trial: Trial, checkpoint: str) -> Trial:
        """A worker takes the trial, reports and pauses it."""
        claimed = self.claim(trial)
        self.report(claimed, 2, 0.5)
        kept = Artifact(sha256=checkpoint * 64, size=1)
        return self.store.finish_trial(
            Outcome(trial_id=trial.id, attempt=claimed.attempt, status="paused", checkpoint=kept)
        )

    def finish(self, claimed: Trial, accuracy: float, params: int, adapter: bool = False) -> Trial:
        """The worker ends the trial well."""
        metrics = {"accuracy": accuracy, "trainable_params": params, "latency_ms": 2.5, "adapter_bytes": params * 4}
        return self.end(
            claimed, status="completed", metrics=metrics, adapter=self._adapter(claimed) if adapter else None
        )

    def stop(self, trial: Trial, accuracy: float) -> Trial:
        """A worker takes the trial, and the scheduler stops it before its end."""
        claimed = self.claim(trial)
        self.report(claimed, 1, accuracy)
        return self.end(claimed, status="stopped", metrics={"accuracy": accuracy, "trainable_params": 1000})

    def fail(self, trial: Trial, reason: str) -> Trial:
        """A worker takes the trial and fails."""
        return self.end(self.claim(trial), status="failed", reason=reason)

    def end(self, claimed: Trial, **outcome: Any) -> Trial:
        """The worker ends the trial in some way."""
        environment = {"torch": "2.13.0", "platform": "Linux"}
        return self.store.finish_trial(
            Outcome(trial_id=claimed.id, attempt=claimed.attempt, engine="fast", environment=environment, **outcome)
        )

    def _adapter(self, trial: Trial) -> Artifact:
        folder = self.folder / trial.id
        folder.mkdir()
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
        shapes = {f"layers.{layer}.query.lora_A.weight": [4, 24 * (layer + 1)] for layer in range(2)}
        entries = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
        header = json.dumps(entries).encode()
        (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
        (folder / ANSWERS_FILE).write_text(json.dumps(ANSWERS))
        return self.artifacts.put_folder(folder)


def search_with_confirmation(search: Search, **changes: Any) -> Search:
    """A further job on the same data whose winners are trained again, three times, and measured on test rows."""
    task = {**search.job.spec["task"], "test": 0.2}
    confirm = {"seeds": 3, "split": "test"}
    return Search(search.store, search.artifacts, search.folder, name="checked", task=task, confirm=confirm, **changes)
