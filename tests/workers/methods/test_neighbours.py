"""A head that retrieves: what it says of known states, that a share of 0 is the plain model, that exports keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.stored_models import write_decoder, write_rows
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.data.tokens import encode_texts, tokenise
from workers.errors import InvalidInput
from workers.exports.merging import merge
from workers.methods.loading import load_adapter
from workers.methods.neighbours import NEIGHBOURS_FILE, Memory
from workers.models.description import describe
from workers.models.loading import load_tokenizer
from workers.running.packing import why_not_packed
from workers.running.preparing import prepare
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_classification import TextClassificationSpec

LORA = {"method": "lora", "rank": 2, "alpha": 4, "targets": "qv", "learning_rate": 3e-3, "batch_size": 8}
HEAD = {"method": "head", "learning_rate": 3e-3, "batch_size": 8}
DIFFFIT = HEAD | {"method": "difffit"}
QUALITY = ("accuracy", "loss", "f1_macro", "mcc")


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))


def task_of(tmp_path: Path, model: str) -> TextClassificationSpec:
    if model == "builtin:minilm":
        return TextClassificationSpec(
            model=model, train="builtin:pydocs", max_length=24, train_rows=48, validation_rows=32
        )
    folder = tmp_path / "model"
    rows = write_rows(tmp_path / "rows.csv", 60)
    return TextClassificationSpec(model=str(write_decoder(folder)), train=str(rows), max_length=24)


NEIGHBOURED: dict[str, dict[str, Any]] = {
    "none": {},
    "share 0": {"neighbours": 4, "neighbour_share": 0.0},
    "half": {"neighbours": 4, "neighbour_share": 0.5},
}


def trained(bench: Workbench, task: TextClassificationSpec, config: dict[str, Any]) -> Outcome:
    assignment = Assignment(trial_id="t", attempt=1, task=task, config=config, epochs=2, seed=1, measure_latency=False)
    outcome = train(assignment, bench, lambda _report: "continue")
    assert outcome.status == "completed", outcome.reason
    return outcome


def test_near_rows_of_a_class_outvote_a_classifier_that_errs() -> None:
    states = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]).half()
    logits, asked = torch.tensor([[0.0, 2.0]]), torch.tensor([[3.0, 0.1]])  # by its direction like the first two

    def said(count: int, share: float) -> torch.Tensor:
        return Memory(states, torch.tensor([0, 0, 1]), count, share).beside(logits, asked).exp()[0]

    own = torch.softmax(logits, -1)[0]
    assert torch.allclose(said(2, 0.0), own)
    assert torch.allclose(said(2, 0.6), 0.4 * own + 0.6 * torch.tensor([1.0, 0.0]), atol=1e-6)
    assert said(2, 0.6).argmax() == 0 != own.argmax()
    assert 0 < said(3, 0.6)[1] - 0.4 * own[1] < 0.6 / 3  # the far one counts, and less than its part
    assert torch.isfinite(Memory(states, torch.tensor([0, 0, 1]), 1, 0.95).beside(logits * 500, asked)).all()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["builtin:minilm", "decoder"])
@pytest.mark.parametrize("config", [LORA, HEAD, DIFFFIT], ids=["lora", "head", "difffit"])
def test_a_share_of_0_is_the_plain_model_and_a_reloaded_adapter_says_what_was_measured(
    bench: Workbench, tmp_path: Path, model: str, config: dict[str, Any]
) -> None:
    task = task_of(tmp_path, model)
    found = {name: trained(bench, task, config | more) for name, more in NEIGHBOURED.items()}
    for name in QUALITY:
        assert found["none"].metrics[name] == pytest.approx(found["share 0"].metrics[name], rel=1e-5)
    assert found["none"].metrics["loss"] != pytest.approx(found["half"].metrics["loss"], rel=1e-3)
    winner = found["half"]
    assert winner.adapter is not None
    folder = bench.artifacts.extract(winner.adapter.sha256, tmp_path / "adapter")
    assert (folder / NEIGHBOURS_FILE).is_file()
    assert "peftsearch.load_adapter" in (folder / "README.md").read_text()
    loaded = load_adapter(task.model, folder)
    data = CLASSIFICATION.rows_to_train_on(task, 0)
    tokenizer = load_tokenizer(task.model)
    tokens = tokenise(data.validation, tokenizer, task.max_length, encode_texts)
    hits, nats = 0.0, 0.0
    for row in range(len(tokens)):
        ids = torch.from_numpy(tokens.input_ids[tokens.offsets[row] : tokens.offsets[row + 1]].copy()).long()[None]
        logits = loaded(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        target = int(tokens.targets[row])
        hits += float(logits.argmax() == target)
        nats -= float(torch.log_softmax(logits, -1)[target])
    assert hits / len(tokens) == pytest.approx(winner.metrics["accuracy"])
    assert nats / len(tokens) == pytest.approx(winner.metrics["loss"], rel=2e-3)
    with pytest.raises(InvalidInput, match="looks up training rows"):
        merge(folder, tmp_path / "merged")


def test_such_trials_train_alone_and_on_whole_bases(bench: Workbench) -> None:
    task = task_of(Path("unused"), "builtin:minilm")
    wanted = Assignment(trial_id="t", attempt=1, task=task, config=LORA | {"neighbours": 4}, epochs=1, seed=1)
    assert "measured beside training rows" in str(why_not_packed(wanted, describe(task.model)))
    with pytest.raises(InvalidInput) as caught:
        prepare(wanted.model_copy(update={"shards": 2}), bench)
    assert caught.value.field == "neighbours"
