"""Numbers far from 0 are learnt as fast as numbers near it, and an exported adapter gives them as they were written."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from peftsearch import load_adapter
from tests.service.tiny_task import FILLER, WORDS, write_model
from tests.workers.stored_models import write_decoder
from tests.workers.tiny_models import BUILDERS, tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.models.loading import load_tokenizer
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_regression import TASK
from workers.tasks.criterion import Unit

FAR, SIZE = 5000.0, 300.0
CONFIG = {"method": "lora", "rank": 4, "alpha": 8, "targets": "all", "learning_rate": 1e-2, "batch_size": 8}


def rows(count: int) -> list[dict[str, object]]:
    """Texts whose last word says whether they are worth more than `FAR` or less."""
    rng = random.Random(count)
    kinds = [rng.choice(sorted(WORDS)) for _ in range(count)]
    return [
        {
            "text": " ".join([*rng.choices(FILLER, k=4), rng.choice(WORDS[kind])]),
            "label": FAR + SIZE * (1 if kind == "fruit" else -1),
        }
        for kind in kinds
    ]


def test_the_unit_is_that_of_the_training_rows() -> None:
    labels = np.array([4.0, 6.0, 8.0, 10.0], dtype=np.float32)
    assert TASK.fit is not None
    assert TASK.fit(labels, True).unit == Unit(7.0, pytest.approx(5**0.5))
    assert TASK.fit(labels, False).unit == Unit(0.0, pytest.approx(54**0.5))
    assert TASK.fit(labels[:1], True).unit == Unit(4.0, 1.0)  # a sample of one label, or of equal ones


@pytest.mark.parametrize("kind", BUILDERS)
def test_no_head_is_said_to_add_a_constant_that_has_none(kind: str) -> None:
    base = tiny_base(kind)
    last = [part for module in base.head_modules().values() for part in module.modules()][-1]
    assert getattr(last, "bias", None) is not None or not base.description.anatomy.head_adds_constant
    assert base.description.anatomy.head_adds_constant or base.description.anatomy.causal


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_labels_far_from_nought_are_learnt_and_predicted_as_written(tmp_path: Path, kind: str) -> None:
    model = str(write_model(tmp_path / kind) if kind == "encoder" else write_decoder(tmp_path / kind))
    files = {}
    for role, count in (("train", 200), ("validation", 40)):
        files[role] = tmp_path / f"{role}.jsonl"
        files[role].write_text("".join(json.dumps(row) + "\n" for row in rows(count)))
    task = {"type": "text-regression", "model": model, "max_length": 16} | {
        key: str(path) for key, path in files.items()
    }
    one = {"trial_id": "t", "attempt": 1, "task": task, "config": CONFIG, "epochs": 6, "seed": 1}
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    found = train(Assignment.model_validate(one | {"measure_latency": False}), bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    assert found.metrics["pearson"] > 0.9
    assert found.metrics["rmse"] < SIZE / 2
    assert found.adapter is not None
    loaded = load_adapter(model, bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter"))
    shown = rows(40)
    batch = load_tokenizer(model)([row["text"] for row in shown], padding=True, return_tensors="pt")
    with torch.no_grad():
        predicted = loaded(**batch).logits[:, 0].double().numpy()
    errors = predicted - np.array([row["label"] for row in shown])
    assert float(np.sqrt(np.square(errors).mean())) == pytest.approx(found.metrics["rmse"], rel=1e-3)
