"""What an exported adapter says of itself is true: its README runs, on a decoder without padding, in half precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from peftsearch import load_adapter
from tests.workers.stored_models import write_decoder, write_rows
from workers.assignment import Assignment
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TEXTS = ["the old red apple", "my new big good small axe"]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TextClassificationSpec:
    folder = tmp_path_factory.mktemp("data")
    model = write_decoder(folder / "model", torch.bfloat16)
    return TextClassificationSpec(model=str(model), train=str(write_rows(folder / "train.csv", 60)), max_length=16)


def _exported(bench: Workbench, task: TextClassificationSpec, config: dict[str, Any], folder: Path) -> float:
    """Train, unpack the adapter into `folder`; the accuracy on the validation rows."""
    assignment = Assignment(trial_id="t", attempt=1, task=task, config=config, epochs=2, seed=1, measure_latency=False)
    outcome = train(assignment, bench, lambda _report: "continue")
    assert outcome.adapter is not None, outcome.reason
    bench.artifacts.extract(outcome.adapter.sha256, folder)
    return outcome.metrics["accuracy"]


def _accuracy(model: Any, bench: Workbench, task: TextClassificationSpec) -> float:
    rows = bench.data(task, 0).validation
    with torch.no_grad():
        logits = model(**rows.batch(np.arange(len(rows)))).logits
    return float((logits.argmax(-1).numpy() == bench.data(task, 0).tokens.validation.targets).mean())


@pytest.mark.parametrize(
    "config",
    [
        {"method": "lora", "rank": 4, "learning_rate": 3e-2, "batch_size": 8},
        {"method": "adapter_pfeiffer", "size": 8, "learning_rate": 3e-2, "batch_size": 8},
    ],
    ids=["peft", "ours"],
)
def test_the_code_of_the_readme_loads_the_adapter(
    bench: Workbench, task: TextClassificationSpec, tmp_path: Path, config: dict[str, Any]
) -> None:
    reached = _exported(bench, task, config, tmp_path)
    blocks = (tmp_path / "README.md").read_text().split("```python\n")[1:]
    assert len(blocks) == (2 if config["method"] == "lora" else 1)
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block.split("```")[0].replace("this/folder", str(tmp_path)), names)
        model = names["model"]
        assert _accuracy(model, bench, task) == pytest.approx(reached)
        assert model.config.id2label == {0: "fruit", 1: "tool"}
        assert model.config.label2id == {"fruit": 0, "tool": 1}
        assert model.config.pad_token_id == 0


@pytest.mark.parametrize("method", ["lora", "dylora"])
def test_a_base_as_it_is_stored_is_told_labels_and_padding(
    bench: Workbench, task: TextClassificationSpec, tmp_path: Path, method: str
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    _exported(bench, task, {"method": method, "rank": 4, "learning_rate": 3e-2, "batch_size": 8}, tmp_path)
    base = AutoModelForSequenceClassification.from_pretrained(task.model, num_labels=2)
    assert (base.dtype, base.config.pad_token_id) == (torch.bfloat16, None)
    model = load_adapter(base, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    tokenizer.pad_token = tokenizer.eos_token
    with torch.no_grad():
        both = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
        alone = [model(**tokenizer(text, return_tensors="pt")).logits for text in TEXTS]
    torch.testing.assert_close(both, torch.cat(alone), atol=0.05, rtol=0.05)
    assert model.config.id2label == {0: "fruit", 1: "tool"}


def test_an_adapter_of_the_hub_names_the_hub() -> None:
    from workers.methods.snippets import loadable

    assert loadable("hub:owner/name@v2", "/cache/snapshots/abc") == ("owner/name", "v2")
    assert loadable("owner/name", "/cache/snapshots/abc") == ("owner/name", None)
    assert loadable("builtin:minilm", "/site-packages/model") == ("/site-packages/model", None)
    assert loadable("./model", "model") == ("model", None)
