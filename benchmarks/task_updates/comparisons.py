"""What is compared on several tasks: updates that know the task of a row beside one that all tasks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """One task and the configurations that train on it.

    Attributes:
        metric: what the learning rate is chosen by, on validation rows, and what is compared, on test rows; the more
            the better.
        told: further metrics that are kept.
        rates: the learning rates of which each way takes its best.
        ways: configurations without a learning rate, by name.
    """

    metric: str
    told: tuple[str, ...]
    rates: tuple[float, ...]
    epochs: int
    batch_size: int
    ways: Mapping[str, Mapping[str, Any]]


def _lora(**changes: Any) -> dict[str, Any]:
    return {"method": "lora", "rank": 8, "alpha": 16, "targets": "qv", **changes}


COMPARISONS: Mapping[str, Comparison] = {
    "multi-task": Comparison(
        "mean",
        ("worst", "kind.accuracy", "alike.spearman", "names.f1_span"),
        (5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
        4,
        16,
        {
            "head": {"method": "head"},
            "lora": _lora(rank=3),
            "mtlora": {"method": "mtlora", "rank": 1, "task_rank": 1, "task_layers": 4, "alpha": 16, "targets": "qv"},
            "polyhistor": {"method": "polyhistor", "alpha": 16, "targets": "qv"},
        },
    ),
    "continual": Comparison(
        "average_accuracy",
        ("average_forgetting", "task_accuracy"),
        (5e-4, 1e-3, 2e-3),
        5,
        16,
        {
            "head": {"method": "head"},
            "lora": _lora(),
            "lora, replay 24": _lora(replay=24),
            "lora, replay 80": _lora(replay=80),
            "conpet": {"method": "conpet", "rank": 8, "alpha": 16, "targets": "qv"},
            "conpet, top 3": {"method": "conpet", "rank": 8, "alpha": 16, "targets": "qv", "top_k": 3},
        },
    ),
}


def section(name: str, data: Path, measured: str) -> dict[str, Any]:
    """The `task` section of a comparison, whose rows to measure are those of the split `measured`."""
    common = {"type": name, "model": "builtin:minilm", "max_length": 40}
    if name == "continual":
        trec = _files(data / "text/trec", measured) | {"label": "label_text", "train_rows": 160}
        pairs = (("entity", "human"), ("description", "numeric"), ("abbreviation", "location"))
        return {**common, "tasks": {"_".join(pair): {**trec, "classes": list(pair)} for pair in pairs}}
    kinds: Sequence[tuple[str, str, str, dict[str, Any]]] = (
        ("kind", "text-classification", "text/trec", {"label": "label_text"}),
        ("alike", "text-regression", "regression/stsb", {"text_pair": ["text_a", "text_b"], "label": "score"}),
        ("names", "token-classification", "tokens/wnut17", {}),
    )
    rows = {"train_rows": 300, "validation_rows": 400}
    return {
        **common,
        "tasks": {
            part: {"type": kind, **_files(data / folder, measured), **columns, **rows}
            for part, kind, folder, columns in kinds
        },
    }


def _files(folder: Path, measured: str) -> dict[str, str]:
    return {"train": str(folder / "train.jsonl"), "validation": str(folder / f"{measured}.jsonl")}
