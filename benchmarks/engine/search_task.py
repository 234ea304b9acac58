"""What both searches are about: the same rows in the same files, the same space, the same two objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.pareto import hypervolume
from search_spaces.parameters import Int
from search_spaces.presets.lora import lora_knobs
from search_spaces.presets.reference import reference_configs
from service.jobs.search.problem import trainable_params
from workers.data.__main__ import write_lines
from workers.models.description import ModelDescription, describe
from workers.tasks.catalogue.text_classification import TextClassificationSpec, read
from workers.tasks.section import TaskSection

MODEL = "builtin:minilm"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "text" / "sst2"
TRIALS = 30


@dataclass(frozen=True)
class SearchSize:
    """Rows and epochs of every trial of a search of `TRIALS` trials."""

    train_rows: int
    validation_rows: int
    epochs: int


FULL = SearchSize(train_rows=256, validation_rows=256, epochs=3)
QUICK = SearchSize(train_rows=64, validation_rows=64, epochs=2)


def write_data(size: SearchSize, folder: Path) -> TextClassificationSpec:
    """Write a sample of SST-2 (docstrings, where that is not beside the checkout) as `train.jsonl` and
    `validation.jsonl` into `folder`; the task that reads it, with paths relative to `folder`."""
    source = ("builtin:pydocs", "builtin:pydocs")
    if DATA.is_dir():
        source = (str(DATA / "train.jsonl"), str(DATA / "validation.jsonl"))
    task = TextClassificationSpec(
        model=MODEL,
        train=source[0],
        validation=source[1],
        train_rows=size.train_rows,
        validation_rows=size.validation_rows,
        max_length=64,
    )
    data = read(task, seed=0)
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(data.train, task, folder / "train.jsonl")
    write_lines(data.validation, task, folder / "validation.jsonl")
    return TextClassificationSpec(model=MODEL, train="train.jsonl", validation="validation.jsonl", max_length=64)


def literature_default() -> dict[str, Any]:
    """The one configuration that both sides try first."""
    return dict(reference_configs(describe(MODEL).shape))["literature-default"]


def job_spec(task: TaskSection, size: SearchSize, seed: int) -> dict[str, Any]:
    """The job as a user writes it."""
    return {
        "name": "bench-engine",
        "task": task.model_dump(exclude_none=True),
        "space": {"preset": "lora"},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "scheduler": {"name": "asha"},
        "budget": {"trials": 2 * TRIALS, "epochs": size.epochs},
        "reference_trials": [literature_default()],
        "seed": seed,
    }


@dataclass(frozen=True)
class Yardstick:
    """Hypervolume of (error, trained parameters) in the unit square.

    Error 1 is that of always answering with the most frequent class; parameters run on a log scale from the smallest
    adapter of the space (0) to the largest (1). The reference point is the worst corner.
    """

    worst_error: float
    log_range: tuple[float, float]

    @classmethod
    def of(cls, validation_labels: Sequence[int]) -> Yardstick:
        """The yardstick for a validation set and the `lora` space of the model."""
        counts = np.bincount(np.asarray(validation_labels))
        return cls(1 - float(counts.max() / counts.sum()), _log_range(describe(MODEL)))

    def worth(self, rows: Sequence[dict[str, Any]]) -> list[float]:
        """The same of trials' rows."""
        return self.curve([row["accuracy"] for row in rows], [row["trainable_params"] for row in rows])

    def curve(self, accuracies: Sequence[float], parameters: Sequence[float]) -> list[float]:
        """Hypervolume after each of the trials, in the order in which they ended."""
        low, high = self.log_range
        error = (1 - np.asarray(accuracies)) / self.worst_error
        size = (np.log10(np.asarray(parameters)) - low) / (high - low)
        # The smallest adapter lies on the edge of the square, which the volume must count as inside.
        points = np.stack([error, size], axis=1)
        return [hypervolume(points[: end + 1], np.ones(2)) for end in range(len(points))]


def _log_range(model: ModelDescription) -> tuple[float, float]:
    count = trainable_params(model)
    ranks = next(one for one in lora_knobs(model.shape) if isinstance(one, Int) and one.name == "rank")
    sizes = [
        count({"method": "lora", "rank": rank, "targets": target, "top_layers": layers})
        for rank, target, layers in product((ranks.low, ranks.high), model.shape.targets, (1, model.shape.layers))
    ]
    return float(np.log10(min(sizes))), float(np.log10(max(sizes)))
