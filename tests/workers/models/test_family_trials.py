"""A trial on every family, from a checkpoint as people bring them: in shards, in bfloat16, decoders without a padding
token. Alone and in a pack it comes to the same, and the code of its README gives the accuracy that the trial reported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers.stored_models import write_rows, write_tokenizer
from tests.workers.tiny_models import BUILDERS, tiny_description, tiny_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.models.description import describe
from workers.running.packing import why_not_packed
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

CONFIG = {"method": "lora", "rank": 4, "targets": "all", "learning_rate": 3e-2, "batch_size": 8}


def _task(kind: str, folder: Path) -> TextClassificationSpec:
    """The model without its head in bfloat16 and shards; a decoder's config.json names no padding token."""
    folder.mkdir(exist_ok=True)
    model = tiny_model(kind)
    body = getattr(model, model.base_model_prefix).to(torch.bfloat16)
    body.save_pretrained(folder / "model", max_shard_size="20KB")
    write_tokenizer(folder / "model")
    if tiny_description(kind).anatomy.causal and kind != "modernbert-decoder":  # whose configuration must name one
        path = folder / "model" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token_id": None, "bos_token_id": None}))
    return TextClassificationSpec(
        model=str(folder / "model"), train=str(write_rows(folder / "train.csv", 60)), max_length=16
    )


def _assignment(task: TextClassificationSpec, trial: str, **changes: Any) -> Assignment:
    config = CONFIG | changes
    return Assignment(trial_id=trial, attempt=1, task=task, config=config, epochs=2, seed=1, measure_latency=False)


@pytest.mark.parametrize("kind", [*BUILDERS, "opt"])
def test_a_trial_of_a_family_trains_alone_and_in_a_pack_and_reloads_elsewhere(
    bench: Workbench, tmp_path: Path, kind: str
) -> None:
    task = _task(kind, tmp_path)
    first, second = _assignment(task, "a"), _assignment(task, "b", top_layers=1, rank=2)
    outcome = train(first, bench, lambda _report: "continue")
    assert outcome.adapter is not None, outcome.reason
    reached = outcome.metrics["accuracy"]
    if why_not_packed(first, describe(task.model)) is None:
        packed = {one.trial_id: one for one in train_pack([first, second], bench, lambda _report: "continue")}
        assert packed["a"].metrics["loss"] == pytest.approx(outcome.metrics["loss"], rel=1e-3)
        alone = train(second, bench, lambda _report: "continue")
        assert packed["b"].metrics["loss"] == pytest.approx(alone.metrics["loss"], rel=1e-3)

    bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "export")
    block = (tmp_path / "export" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(block.replace("this/folder", str(tmp_path / "export")), names)
    rows = bench.data(task, 0).validation
    with torch.no_grad():
        logits = names["model"](**rows.batch(np.arange(len(rows)))).logits
    targets = bench.data(task, 0).tokens.validation.targets
    assert float((logits.argmax(-1).numpy() == targets).mean()) == pytest.approx(reached)
    loss = torch.nn.functional.cross_entropy(logits.float(), torch.as_tensor(targets).long()).item()
    assert loss == pytest.approx(outcome.metrics["loss"], rel=1e-3)


def test_a_trial_in_bfloat16_where_the_models_code_does_not_take_it_is_trained_in_float32(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    bench = Workbench(home, ArtifactStore(home / "artifacts"), precision="bf16")
    deft = {"method": "deft", "rank": 4, "decomposition": "relu", "targets": "attention"}
    for kind, precision in (("deberta-v2", "fp32"), ("electra", "bf16")):
        one = _assignment(_task(kind, tmp_path / kind), "a").model_copy(
            update={"config": deft | {"learning_rate": 1e-3, "batch_size": 8}}
        )
        outcome = train(one, bench, lambda _report: "continue")
        assert (outcome.status, outcome.environment["precision"]) == ("completed", precision), outcome.reason


def test_eva_starts_from_the_tokens_of_rows_that_have_one_label(bench: Workbench, tmp_path: Path) -> None:
    one = _assignment(_task("electra", tmp_path), "a").model_copy(
        update={"config": {"method": "eva", "rank": 4, "learning_rate": 1e-3, "batch_size": 8}}
    )
    outcome = train(one, bench, lambda _report: "continue")
    assert outcome.status == "completed", outcome.reason
