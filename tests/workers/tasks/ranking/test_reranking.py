"""Reranking: what is compared in training, the baseline without a model, and cross-encoders elsewhere."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.service.tiny_task import FILLER, WORDS, write_model
from tests.workers.tasks.ranking.test_forms import collection, lines
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data.judged.bm25 import Bm25
from workers.errors import InvalidInput
from workers.exports.merging import merge
from workers.hyperparameters import Hyperparameters
from workers.methods.registry import method
from workers.models.description import describe
from workers.running.repeating import train_again
from workers.running.trial import prepare, train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.reranking.lists import list_loss
from workers.tasks.registry import task

TASK = task("reranking")


def section(folder: Path, **fields: Any) -> dict[str, Any]:
    """Pairs whose document answers where it holds the query's word; all documents are candidates."""
    rng = random.Random(0)
    words = [*WORDS["fruit"], *WORDS["tool"]]
    for role in ("train", "validation"):
        rows = [
            {"query": f"my {word} {FILLER[turn]}", "document": " ".join([*rng.choices(FILLER, k=4), word])}
            for word in words
            for turn in range(3)
        ]
        lines(folder / f"{role}.jsonl", rows)
    files = {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")}
    return {"type": "reranking", "model": str(write_model(folder / "model")), "max_length": 24} | files | fields


@pytest.mark.parametrize("mined", ["bm25", "random"])
def test_what_is_judged_relevant_is_never_a_negative(tmp_path: Path, mined: str) -> None:
    folder = collection(tmp_path)
    (folder / "qrels" / "train.tsv").write_text("a 0 1 3\na 0 2 2\nb 0 2 1\n")
    one = TASK.section.model_validate(
        {"model": "builtin:minilm", "train": str(folder), "negatives": 4, "mined": mined, "candidates": 3}
    )
    rows = TASK.rows_to_train_on(one, 0).train
    assert rows.judged is not None
    assert rows.judged.together == 5
    groups = rows.judged.places.reshape(-1, 5, 2)
    assert len(groups) == 3
    for group in groups.tolist():
        (query,) = {query for query, _ in group}
        first, *others = (rows.judged.grades[query].get(document, 0) for _, document in group)
        assert first > 0
        assert others == [0] * 4
    again = TASK.rows_to_train_on(one, 0).train
    assert (rows.texts, rows.pairs) == (again.texts, again.pairs)


def test_judged_negatives_come_before_mined_ones(tmp_path: Path) -> None:
    rows = [
        {"query": f"q {number}", "positive": f"right {number}", "negative": f"wrong {number}"} for number in range(8)
    ]
    one = TASK.section.model_validate(
        {"model": "builtin:minilm", "train": str(lines(tmp_path / "t.jsonl", rows)), "negatives": 1}
    )
    found = TASK.rows_to_train_on(one, 0).train
    assert {pair.split()[0] for pair in (found.pairs or ())[1::2]} == {"wrong"}
    alone = [{"query": "q", "positive": "a", "negative": None}, {"query": "r", "positive": "a", "negative": None}]
    one = one.model_copy(update={"train": str(lines(tmp_path / "u.jsonl", alone)), "validation": 0.5})
    with pytest.raises(InvalidInput) as caught:
        TASK.rows_to_train_on(one, 0)
    assert caught.value.field == "negatives"


def test_losses_of_a_group() -> None:
    scores, own = torch.tensor([[2.0], [0.0], [1.5], [0.0], [0.0], [0.0]]), Hyperparameters()
    first, second = scores.view(2, 3)
    softmax = sum(float(-one.log_softmax(0)[0]) for one in (first, second))
    assert float(list_loss(scores, 3, "softmax", own)) == pytest.approx(softmax)
    assert float(list_loss(scores, 3, "margin", own)) == pytest.approx((0.0 + 0.5) / 2 + 1.0)
    bce = [torch.nn.functional.softplus(torch.tensor([-one[0], one[1], one[2]])).mean() for one in (first, second)]
    assert float(list_loss(scores, 3, "bce", own)) == pytest.approx(float(sum(bce)))


def test_words_of_any_script_are_found_by_bm25() -> None:
    index = Bm25(["the Cat sat", "dogs", "你好世界", ""])
    assert index.best("CAT!", 2).tolist() == [0, 1]
    assert index.best("世", 1).tolist() == [2]
    assert index.scores("nothing known").tolist() == [0, 0, 0, 0]
    assert Bm25(["", " "]).best("cat", 2).tolist() == [0, 1]


def test_the_baseline_is_a_trial_without_a_model(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    given = section(tmp_path, candidates=24, negatives=2)
    one = Assignment.model_validate(
        {"trial_id": "t", "attempt": 1, "task": given, "config": {"method": "bm25"}, "epochs": 1, "seed": 0}
    )
    found = train(one, bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    assert found.metrics["mrr_at_10"] > 0.2  # words are shared; any order gives 0.16
    assert found.metrics["trainable_params"] == found.metrics["adapter_bytes"] == 0
    assert found.metrics["latency_ms"] > 0
    assert (found.adapter, found.evaluated_rows) == (None, 24)
    again = train_again(given, [(None, {"method": "bm25"})], tmp_path / "x", epochs=1, seed=0, data_seed=0)
    assert again.metrics["map"] == found.metrics["map"]
    with pytest.raises(InvalidInput, match="bm25 on another type of task"):
        method("bm25").complete(describe(given["model"]), {})


def test_candidates_that_hold_nothing_relevant_are_refused(tmp_path: Path) -> None:
    rows = [{"query": f"asked {n}", "document": f"said {n}"} for n in "abcdefgh"]
    rows += [{"query": f"other {n}", "document": f"asked {n} asked"} for n in "abcdefgh"]
    held = lines(tmp_path / "v.jsonl", [{"query": "asked a", "document": "zebra"}])
    one = TASK.section.model_validate(
        {
            "model": "builtin:minilm",
            "train": str(lines(tmp_path / "t.jsonl", rows)),
            "validation": str(held),
            "candidates": 2,
        }
    )
    with pytest.raises(InvalidInput, match="no relevant document among the 2 best"):
        TASK.rows_to_train_on(one, 0)


def test_a_merged_trial_is_a_cross_encoder_elsewhere(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    config = {"method": "lora", "rank": 2, "alpha": 8, "targets": "all", "learning_rate": 1e-2}
    one = Assignment.model_validate(
        {
            "trial_id": "t", "attempt": 1, "task": section(tmp_path, negatives=2), "config": config,
            "epochs": 1, "seed": 0, "measure_latency": False,
        }
    )  # fmt: skip
    found = train(one, bench, lambda _: "continue")
    assert found.adapter is not None, found.reason
    merge(bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter"), tmp_path / "merged")
    rows = prepare(one, bench).data.tokens.validation
    kind = TASK.rows_to_train_on(one.task, 0).validation
    model = CrossEncoder(str(tmp_path / "merged"), device="cpu")
    scores = model.predict(list(zip(kind.texts, kind.pairs or (), strict=True)), activation_fn=torch.nn.Identity())
    criterion = TASK.criterion_on(TASK.criterion(one.task, ("relevance",)), one.task, kind, rows)
    measure = criterion.measure()
    measure.add(torch.from_numpy(np.asarray(scores)).reshape(-1, 1), torch.arange(len(scores)))
    again = measure.result()
    assert again == pytest.approx({name: found.metrics[name] for name in again}, abs=2e-4)
