"""Jobs on every family of models, through the real service: `lora` and `methods` run to the end, and an adapter of each
that is loaded into plain transformers has the loss that its trial reported.

All families take minutes: each run takes two, `make test-families` (PEFTSEARCH_FAMILIES=all) takes all.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from peftsearch import load_adapter
from tests.service.serving import Serving, job_when, serving
from tests.workers.stored_models import FILLER, WORDS, write_rows, write_tokenizer
from tests.workers.tiny_models import BUILDERS, TOKEN_BUILDERS, tiny_description, tiny_model

EVERY = (*BUILDERS, *TOKEN_BUILDERS, "opt", "bloom")
KINDS = EVERY if os.environ.get("PEFTSEARCH_FAMILIES") == "all" else ("qwen3", "t5")

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1500)]


def _write_model(kind: str, folder: Path) -> None:
    """A body without its head, in shards and bfloat16; a decoder's config.json names no padding and no first token."""
    model = tiny_model(kind)
    getattr(model, model.base_model_prefix).to(torch.bfloat16).save_pretrained(folder, max_shard_size="20KB")
    write_tokenizer(folder, pad_token="<end>")
    if tiny_description(kind).anatomy.causal and kind != "modernbert-decoder":  # whose configuration must name one
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token_id": None, "bos_token_id": None}))


def _write_tagged(path: Path, rows: int, seed: int) -> Path:
    """Sentences whose words for things are tagged."""
    draw, things = random.Random(seed), {word: f"B-{kind}" for kind, words in WORDS.items() for word in words}
    with path.open("w") as file:
        for _ in range(rows):
            words = [*draw.choices(FILLER, k=draw.randint(3, 6)), draw.choice(sorted(things))]
            file.write(json.dumps({"tokens": words, "tags": [things.get(word, "O") for word in words]}) + "\n")
    return path


def _task(kind: str, folder: Path) -> dict[str, Any]:
    _write_model(kind, folder / "model")
    if kind in TOKEN_BUILDERS:
        files = {role: str(_write_tagged(folder / f"{role}.jsonl", 40, number)) for number, role in enumerate(_ROLES)}
        return {"type": "token-classification", "model": str(folder / "model"), "max_length": 16, **files}
    files = {role: str(write_rows(folder / f"{role}.csv", 40, number)) for number, role in enumerate(_ROLES)}
    return {"model": str(folder / "model"), "max_length": 16, **files}


_ROLES = ("train", "validation")


def _job(kind: str, preset: str, task: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{kind} {preset}",
        "task": task,
        "space": {"preset": preset, "overrides": {"batch_size": {"value": 8}}},
        "objectives": [
            {"metric": "loss", "direction": "minimize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "optimizer": {"name": "random"},
        "reference_trials": False,
        "budget": {"trials": 3, "epochs": 1},
        "seed": EVERY.index(kind),
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[Serving]:
    with serving(root / "home", f"--data-root={root}") as started:
        yield started


@pytest.mark.parametrize("kind", KINDS)
def test_searches_on_a_family_end_and_adapters_keep_their_loss(service: Serving, root: Path, kind: str) -> None:
    (root / kind).mkdir()
    task = _task(kind, root / kind)
    with service.client() as client:
        jobs = [client.submit(_job(kind, preset, task)) for preset in ("lora", "methods")]
        for job in jobs:
            assert job_when(client, job.id).state == "completed"
            trials = client.trials(job.id)
            for trial in trials:
                assert (trial.state, trial.reason) == ("completed", None), trial.config
                folder = client.export(trial.id, root / kind / trial.id)
                assert _loss(task, folder) == pytest.approx(trial.metrics["loss"], rel=2e-3), trial.config
            assert len(trials) == 3


def _loss(task: dict[str, Any], adapter: Path) -> float:
    """Cross-entropy of the validation rows with the adapter on a base of plain transformers."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(task["model"])
    tokens = "type" in task
    labels, texts, targets = _tagged(task) if tokens else _labelled(task)
    auto = transformers.AutoModelForTokenClassification if tokens else transformers.AutoModelForSequenceClassification
    base = auto.from_pretrained(task["model"], num_labels=labels, dtype=torch.float32)
    model = load_adapter(base, adapter)
    rows = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt", is_split_into_words=tokens)
    rows = {name: value for name, value in rows.items() if name != "token_type_ids"}
    rows["attention_mask"][:, 0] = 1  # a text of which the tokenizer makes nothing is read as one token
    with torch.no_grad():
        logits = model(**rows).logits
    if tokens:
        logits, wanted = logits[rows["attention_mask"].bool()], torch.tensor([one for row in targets for one in row])
    else:
        wanted = torch.tensor(targets)
    return float(torch.nn.functional.cross_entropy(logits, wanted))


def _labelled(task: dict[str, Any]) -> tuple[int, list[Any], list[Any]]:
    lines = [line.split(",") for line in Path(task["validation"]).read_text().splitlines()[1:]]
    return 2, [text for text, _ in lines], [sorted(WORDS).index(label) for _, label in lines]


def _tagged(task: dict[str, Any]) -> tuple[int, list[Any], list[Any]]:
    rows = [json.loads(line) for line in Path(task["validation"]).read_text().splitlines()]
    tags = ["B-fruit", "B-tool", "O"]
    return 3, [row["tokens"] for row in rows], [[tags.index(tag) for tag in row["tags"]] for row in rows]
