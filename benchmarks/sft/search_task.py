"""What both searches of a language model's fine-tuning are about: rows, space, objectives, what a front is worth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from optimizers.pareto import hypervolume
from search_spaces.editing import apply_overrides
from search_spaces.parameters import Int, Ordinal, Parameter
from search_spaces.presets import preset
from search_spaces.presets.reference import language_model_references
from search_spaces.serialization import parameter_to_json
from search_spaces.space import Space
from service.jobs.search.problem import trainable_params
from workers.models.description import describe
from workers.models.loading import load_tokenizer
from workers.models.references import resolve
from workers.tasks.catalogue.causal_lm import TASK
from workers.tasks.criterion import IGNORED

MODEL = "builtin:smollm2"
MAX_LENGTH = 160
Overrides = Mapping[str, Mapping[str, Any]]
_BATCHES = {"batch_size": {"values": [2, 4, 8]}}
SPACES: dict[str, Overrides] = {
    "upper layers": {"top_layers": {"low": 1, "high": 6}, "rank": {"low": 2, "high": 32}, **_BATCHES},
    "all layers": _BATCHES,
}
"""What changes the preset `lora-sft`. The first has the layers and ranks of `examples/language-model.yaml`, `make
demo-sft`; batches are small, so that few rows are enough steps to learn from."""
Config = dict[str, Any]


@dataclass(frozen=True)
class SearchSize:
    """Trials of a search, and what each of them trains on and is measured on."""

    trials: int
    train_rows: int
    validation_rows: int
    epochs: int


SIZES = {
    "full": SearchSize(trials=16, train_rows=32, validation_rows=16, epochs=2),
    "quick": SearchSize(trials=4, train_rows=16, validation_rows=8, epochs=2),
}


def write_rows(size: SearchSize, folder: Path) -> dict[str, Any]:
    """Write pairs of `builtin:pysft` as `train.jsonl` and `validation.jsonl` into `folder`; the `task` section of a job
    that reads them, with paths relative to `folder`."""
    section = {"model": MODEL, "train": "builtin:pysft", "validation": "builtin:pysft", **_columns()}
    section |= {"train_rows": size.train_rows, "validation_rows": size.validation_rows, "overlong": "drop"}
    data = TASK.read(TASK.section.model_validate(section), 0)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"train": data.train, "validation": data.validation}
    for name, rows in files.items():
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for pieces in rows.texts:
                _, prompt, answer = tuple(pieces)
                # The tokenizer's end of a text, which tasks and TRL alike put behind a completion.
                completion = answer.removesuffix(load_tokenizer(MODEL).eos_token)
                file.write(json.dumps({"prompt": prompt, "completion": completion}) + "\n")
    return {"type": "causal-lm", "model": MODEL, **{name: f"{name}.jsonl" for name in files}, **_columns()}


def _columns() -> dict[str, Any]:
    return {"prompt": "prompt", "completion": "completion", "max_length": MAX_LENGTH}


def encoded(section: Mapping[str, Any], folder: Path) -> dict[str, dict[str, list[list[int]]]]:
    """Tokens of the files' rows for TRL, `input_ids` and `completion_mask`, by split."""
    task = TASK.section.model_validate({**section, **{name: str(folder / section[name]) for name in _SPLITS}})
    data, tokenizer = TASK.read(task, 0), load_tokenizer(MODEL)
    found = {}
    for name in _SPLITS:
        tokens = TASK.encode(getattr(data, name), tokenizer, MAX_LENGTH)
        found[name] = {
            "input_ids": [np.asarray(row).tolist() for row in tokens["input_ids"]],
            "completion_mask": [[0, *(int(one != IGNORED) for one in row[:-1])] for row in tokens["targets"]],
        }
    return found


_SPLITS = ("train", "validation")


def space_of(overrides: Overrides) -> Space:
    """The space as the service has it."""
    return apply_overrides(preset("lora-sft", describe(MODEL).shape), overrides)


def literature_default(space: Space) -> Config:
    """The one configuration that both sides try first, as near to the literature's as the space comes."""
    names = [one.name for one in space.parameters]
    known = dict(language_model_references(describe(MODEL).shape))["literature-default"]
    layers, batches = _parameter(space, "top_layers", Int).high, max(_parameter(space, "batch_size", Ordinal).values)
    limits = {"top_layers": min(known["top_layers"], layers), "batch_size": min(known["batch_size"], batches)}
    return {name: known[name] for name in names} | limits


_Kind = TypeVar("_Kind", bound=Parameter)


def _parameter(space: Space, name: str, kind: type[_Kind]) -> _Kind:
    found = space.by_name[name]
    assert isinstance(found, kind)
    return found


def job_spec(section: Mapping[str, Any], overrides: Overrides, size: SearchSize, seed: int) -> dict[str, Any]:
    """The job as a user writes it. It may take up to twice the trials, for when the target has not been reached."""
    return {
        "name": "bench-sft-search",
        "task": dict(section),
        "space": {"preset": "lora-sft", "overrides": {name: dict(one) for name, one in overrides.items()}},
        "objectives": [
            {"metric": "loss", "direction": "minimize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "scheduler": {"name": "median"},  # halving loses small adapters: docs/decisions/schedulers-measured.md
        "budget": {"trials": 2 * size.trials, "epochs": size.epochs},
        "reference_trials": [literature_default(space_of(overrides))],
        "seed": seed,
    }


def asked_of_peer(
    section: Mapping[str, Any], folder: Path, overrides: Overrides, size: SearchSize, seed: int
) -> dict[str, Any]:
    """What the script needs, as plain JSON: the rows' tokens, the space, names of modules, and what to try first."""
    model, space = describe(MODEL), space_of(overrides)
    # Names of a layer's projections, without the part of it that they stand in.
    modules = {
        targets: [linear.name.rpartition(".")[2] for _, linear in model.linears(targets, [0])]
        for targets in model.shape.targets
    }
    return {
        "folder": str(resolve(MODEL)),
        "rows": encoded(section, folder),
        "parameters": [parameter_to_json(one) for one in space.parameters if one.name != "method"],
        "layers": model.shape.layers,
        "modules": modules,
        "first": {name: value for name, value in literature_default(space).items() if name != "method"},
        "epochs": size.epochs,
        "trials": size.trials,
        "seed": seed,
    }


@dataclass(frozen=True)
class Yardstick:
    """Hypervolume of (loss, trained parameters) in the unit square.

    Loss 1 is that of the base untrained, 0 a loss of nothing; parameters run on a log scale from the smallest adapter
    of the space (0) to the largest (1). The reference point is the worst corner.
    """

    base_loss: float
    log_range: tuple[float, float]

    @classmethod
    def of(cls, base_loss: float, space: Space) -> Yardstick:
        """The yardstick of a space."""
        count = trainable_params(describe(MODEL))
        ranks, layers = _parameter(space, "rank", Int), _parameter(space, "top_layers", Int)
        sizes = [
            count({"method": "lora", "rank": rank, "targets": targets, "top_layers": top})
            for rank, targets, top in product(
                (ranks.low, ranks.high), describe(MODEL).shape.targets, (layers.low, layers.high)
            )
        ]
        return cls(base_loss, (float(np.log10(min(sizes))), float(np.log10(max(sizes)))))

    def worth(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """Hypervolume after each of the trials, in the order in which they ended."""
        low, high = self.log_range
        points = [
            (row["loss"] / self.base_loss, (np.log10(row["trainable_params"]) - low) / (high - low)) for row in rows
        ]
        return [hypervolume(np.array(points[: end + 1]), np.ones(2)) for end in range(len(points))]
