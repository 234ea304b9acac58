"""Three small tasks over the same words, for jobs of type `multi-task`."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.service.tiny_task import FILLER, WORDS, write_model
from tests.workers.stored_models import write_decoder

TASKS = ("kind", "size", "words")


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Rows as a jsonl file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def rows(count: int) -> list[dict[str, Any]]:
    """Texts with a label, a number and tags each."""
    rng = random.Random(count)
    found = []
    for _ in range(count):
        kind = rng.choice(sorted(WORDS))
        words = [*rng.choices(FILLER, k=rng.randint(2, 6)), rng.choice(WORDS[kind])]
        tags = [*("O" for _ in words[1:]), f"B-{kind}"]
        found.append({"text": " ".join(words), "label": kind, "size": len(words), "tokens": words, "tags": tags})
    return found


def questions(count: int) -> list[dict[str, Any]]:
    """Questions for a thing of a kind, and texts that name one; every fourth names none, and some are long."""
    rng = random.Random(count)
    found = []
    for number in range(count):
        kind = rng.choice(sorted(WORDS))
        words = rng.choices(FILLER, k=rng.randint(3, 30))
        before = " ".join(words[:2]) + " "
        answer = rng.choice(WORDS[kind])
        context = before + (answer + " " if number % 4 else "") + " ".join(words[2:])
        answers = [{"text": answer, "answer_start": len(before)}] if number % 4 else []
        found.append({"question": kind, "context": context, "answers": answers})
    return found


def write_home(folder: Path) -> None:
    """Models, and rows of three tasks over the same words."""
    write_model(folder / "encoder")
    write_decoder(folder / "decoder")
    for name, count in (("kind", 90), ("size", 40), ("words", 20)):
        write(folder / f"{name}.jsonl", rows(count))
    write(folder / "validation.jsonl", rows(30))
    write(folder / "questions.jsonl", questions(40))
    write(folder / "asked.jsonl", questions(21))


def section(home: Path, model: str = "encoder", **changes: Any) -> dict[str, Any]:
    """The `task` section of a job on them."""
    own: dict[str, dict[str, Any]] = {
        "kind": {"type": "text-classification"},
        "size": {"type": "text-regression", "label": "size"},
        "words": {"type": "token-classification"},
    }
    tasks = {
        name: {"train": str(home / f"{name}.jsonl"), "validation": str(home / "validation.jsonl"), **fields}
        for name, fields in own.items()
    }
    return {"type": "multi-task", "model": str(home / model), "max_length": 16, "tasks": tasks, **changes}


def with_answers(home: Path) -> dict[str, Any]:
    """Tasks of a section: answers, and two of the others in front and behind."""
    others = section(home)["tasks"]
    files = {"train": str(home / "questions.jsonl"), "validation": str(home / "asked.jsonl")}
    return {"kind": others["kind"], "answers": {"type": "question-answering", **files}, "words": others["words"]}
