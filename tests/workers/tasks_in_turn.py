"""Three small tasks of two classes each, for jobs of type `continual`: a word of a text tells its class."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.service.tiny_task import FILLER, write_model
from workers.assignment import Assignment

TASKS = {"one": ("apple", "pear"), "two": ("plum", "saw"), "three": ("file", "drill")}


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Texts with the word that is their class."""
    rng = random.Random(seed)
    classes = [label for labels in TASKS.values() for label in labels]
    found = []
    for number in range(count):
        label = classes[number % len(classes)]
        words = [*rng.choices(FILLER, k=rng.randint(2, 6)), label]
        rng.shuffle(words)
        found.append({"text": " ".join(words), "label": label})
    return found


def write_home(folder: Path) -> None:
    """A model, and one file of all classes that tasks divide among them."""
    write_model(folder / "encoder")
    for name, count in (("train", 360), ("validation", 120)):
        text = "".join(json.dumps(row) + "\n" for row in rows(count, count))
        (folder / f"{name}.jsonl").write_text(text)


def section(home: Path, **changes: Any) -> dict[str, Any]:
    """The `task` section of a job on them."""
    files = {name: str(home / f"{name}.jsonl") for name in ("train", "validation")}
    tasks = {name: {**files, "classes": list(classes)} for name, classes in TASKS.items()}
    return {"type": "continual", "model": str(home / "encoder"), "max_length": 16, "tasks": tasks, **changes}


def trial(home: Path, config: dict[str, Any] | None = None, **changes: Any) -> Assignment:
    """A trial of a LoRA, or of what `config` says, with three passes over each task."""
    lora = {"method": "lora", "rank": 4, "alpha": 16, "targets": "all", "learning_rate": 1e-2, "batch_size": 8}
    fields = {"trial_id": "t", "attempt": 1, "epochs": 3, "seed": 1, "measure_latency": False}
    named = {name: changes.pop(name) for name in ("checkpoint", "engine", "epochs", "pause_every") if name in changes}
    whole = {**fields, **named, "task": section(home, **changes), "config": lora | (config or {})}
    return Assignment.model_validate(whole)
