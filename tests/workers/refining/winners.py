"""Small winners of a real task, refined by the code that a worker runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workers.assignment import Artifact, Assignment, Outcome
from workers.methods.loading import load_adapter
from workers.refining.spec import RefineAssignment, Source
from workers.refining.trial import refine
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=200, validation_rows=100
)
LORA: dict[str, Any] = {
    "method": "lora",
    "rank": 4,
    "alpha": 8,
    "top_layers": 2,
    "targets": "qv",
    "learning_rate": 5e-3,
}


@dataclass(frozen=True)
class Winner:
    """A trained adapter in the store."""

    config: dict[str, Any]
    seed: int
    metrics: dict[str, float]
    artifact: Artifact

    @property
    def source(self) -> Source:
        return Source(config=self.config, seed=self.seed, artifact=self.artifact)


def _ignored(_report: Any) -> Any:
    return "continue"


def trained(bench: Workbench, config: dict[str, Any], seed: int = 1, **changes: Any) -> Winner:
    fields: dict[str, Any] = {"epochs": 4, "task": TASK, "measure_latency": False} | changes
    outcome = train(Assignment(trial_id="w", attempt=1, config=config, seed=seed, **fields), bench, _ignored)
    assert outcome.adapter is not None, outcome.reason
    return Winner(config, seed, outcome.metrics, outcome.adapter)


def refined(
    bench: Workbench,
    step: str,
    options: dict[str, Any],
    winners: Sequence[Winner],
    config: dict[str, Any] | None = None,
    **changes: Any,
) -> Outcome:
    fields: dict[str, Any] = {"epochs": 1, "task": TASK, "measure_latency": False, "seed": winners[0].seed} | changes
    given = RefineAssignment(
        trial_id="r",
        attempt=1,
        config=config or winners[0].config,
        step=step,
        options=options,
        sources=tuple(winner.source for winner in winners),
        **fields,
    )
    return refine(given, bench, _ignored)


def loss_of_loaded(bench: Workbench, folder: Path) -> float:
    """The loss of an exported adapter that `load_adapter` put on a base of its own, on the validation rows."""
    rows = bench.data(TASK, 0).validation
    model = load_adapter("builtin:minilm", folder)
    with torch.no_grad():
        logits = model(**dict(rows.batch(np.arange(len(rows))))).logits
    return float(torch.nn.functional.cross_entropy(logits, rows.targets(np.arange(len(rows)))))
