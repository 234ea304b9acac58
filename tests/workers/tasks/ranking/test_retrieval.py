"""Retrieval: what a query is compared with, rankings of a whole corpus by chunks, and sentence-transformers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from peftsearch import load_adapter
from tests.service.tiny_task import FILLER, WORDS, write_model
from tests.workers.tasks.ranking.test_forms import lines
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data.rows import Judged
from workers.engines.passes import WholePass, evaluation_batches, measure_in
from workers.exports.merging import merge
from workers.hyperparameters import Hyperparameters
from workers.models.description import describe
from workers.models.pooling import pooled
from workers.running.packing import why_not_packed
from workers.running.trial import prepare, train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.retrieval import search
from workers.tasks.catalogue.retrieval.contrast import Contrast
from workers.tasks.catalogue.retrieval.search import SearchMeasure
from workers.tasks.criterion import Pooling
from workers.tasks.ranking.metrics import ranking_metrics
from workers.tasks.registry import task

TASK = task("retrieval")
LORA = {"method": "lora", "rank": 2, "alpha": 8, "targets": "all", "learning_rate": 1e-2, "batch_size": 6}


def judged(places: NDArray[np.int32], grades: list[dict[int, int]], documents: int, together: int = 0) -> Judged:
    texts = tuple(f"d {number}" for number in range(documents))
    queries = tuple(f"q {number}" for number in range(len(grades)))
    return Judged(queries, texts, tuple(grades), np.arange(documents), False, places, together)


def vectors(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))


def section(folder: Path, **fields: Any) -> dict[str, Any]:
    rng = random.Random(0)
    words = [*WORDS["fruit"], *WORDS["tool"]]
    for role in ("train", "validation"):
        rows = [
            {"query": f"{one} {word}", "document": " ".join([*rng.choices(FILLER, k=rng.randint(1, 4)), word])}
            for word in words
            for one in FILLER[:3]
        ]
        lines(folder / f"{role}.jsonl", rows)
    files = {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")}
    return {"type": "retrieval", "model": str(write_model(folder / "model")), "max_length": 16} | files | fields


def assignment(given: dict[str, Any], **config: Any) -> Assignment:
    return Assignment.model_validate(
        {
            "trial_id": "t", "attempt": 1, "task": given, "config": LORA | config,
            "epochs": 1, "seed": 0, "measure_latency": False,
        }
    )  # fmt: skip


def test_what_is_judged_relevant_is_not_held_against_a_query() -> None:
    # Two groups of a query, its document and a mined one. Document 1 answers both queries; document 3 comes twice.
    places = np.array([[0, -1], [-1, 0], [-1, 3], [1, -1], [-1, 1], [-1, 3]], dtype=np.int32)
    contrast = Contrast(judged(places, [{0: 1, 1: 2}, {1: 1, 2: 0}], 4, together=3), True, True)
    found, own = vectors(6), Hyperparameters(temperature=0.5)
    unit = torch.nn.functional.normalize(found, dim=-1)
    first, second = ((unit[query] @ unit[[1, 2, 4, 5]].T / 0.5) for query in (0, 3))
    expected = first[[0, 1, 3]].logsumexp(0) - first[0]  # document 1 is left out
    expected += second.logsumexp(0) - second[2]  # document 0 is not judged for the second query
    assert float(contrast(found, torch.arange(6), own)) == pytest.approx(float(expected), rel=1e-5)


def test_without_the_batch_groups_stand_for_themselves() -> None:
    places = np.array([[0, -1], [-1, 0], [-1, 2], [1, -1], [-1, 1], [-1, 3]], dtype=np.int32)
    contrast = Contrast(judged(places, [{0: 1}, {1: 1}], 4, together=3), False, False)
    found, own, rows = vectors(6), Hyperparameters(temperature=2.0), torch.arange(6)
    parts = sum(float(contrast(found[part], rows[part], own)) for part in (slice(0, 3), slice(3, 6)))
    assert float(contrast(found, rows, own)) == pytest.approx(parts)
    scores = torch.stack([found[0] @ found[1], found[0] @ found[2]]) / 2.0
    assert float(contrast(found[:3], rows[:3], own)) == pytest.approx(float(-scores.log_softmax(0)[0]), rel=1e-5)


@pytest.mark.parametrize("chunk", [7, 50, 4096])
def test_chunks_of_a_corpus_rank_it_as_a_whole(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(search, "CHUNK", chunk)
    queries, documents = 5, 120
    rng = np.random.default_rng(0)
    grades = [{int(one): int(rng.integers(0, 4)) for one in rng.choice(documents, 12, False)} for _ in range(queries)]
    places = np.array([*((q, -1) for q in range(queries)), *((-1, d) for d in range(documents))], dtype=np.int32)
    own, found = judged(places, grades, documents), vectors(queries + documents)
    scores = (found[:queries] @ found[queries:].T).double()
    order = scores.argsort(descending=True)
    expected = ranking_metrics((grades[q], order[q].numpy()) for q in range(queries))
    losses = []
    for query in range(queries):
        relevant = torch.tensor([grades[query].get(one, 0) > 0 for one in range(documents)])
        others = scores[query][~relevant].logsumexp(0)
        losses += torch.nn.functional.softplus(others - scores[query][relevant]).tolist()
    expected["loss"] = float(np.mean(losses))
    whole = SearchMeasure(own, False)
    for rows in torch.arange(queries + documents).split(11):
        whole.add(found[rows], rows)
        assert sum(len(one) for one, _ in whole._waiting) < chunk + 11  # what is compared is forgotten
    assert whole.result() == pytest.approx(expected, rel=1e-5)
    left, right = SearchMeasure(own, False), SearchMeasure(own, False)
    mixed = torch.randperm(queries + documents, generator=torch.Generator().manual_seed(1))
    left.add(found[mixed[:60]], mixed[:60])
    right.add(found[mixed[60:]], mixed[60:])
    left.merge(right)
    assert left.result() == pytest.approx(expected, rel=1e-5)


def test_queries_are_read_before_the_corpus(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    prepared = prepare(assignment(section(tmp_path)), bench)
    split = WholePass(prepared.resident.base.model, prepared.evaluated)
    batches = evaluation_batches(split, 64)
    order = np.concatenate(batches)
    queries = prepared.evaluated.criterion.leading
    assert queries == prepared.examples == 24
    assert sorted(order.tolist()) == list(range(len(prepared.evaluated)))
    assert order[:queries].max() < queries
    with torch.no_grad():
        assert measure_in(split, batches).result()["recall_at_10"] >= 0


@pytest.mark.parametrize(("kind", "places"), [("mean", [0, 1, 2]), ("cls", [0]), ("last", [2])])
def test_pooling_reads_a_texts_own_tokens(kind: Pooling, places: list[int]) -> None:
    hidden = torch.randn(1, 6, 4)  # two vectors of a prompt, three tokens, one of padding
    found = pooled(hidden, torch.tensor([[1, 1, 1, 0]]), kind)
    assert torch.allclose(found, hidden[:, 2:][:, places].mean(1))


def test_trials_that_compare_their_batch_train_alone(tmp_path: Path) -> None:
    given = section(tmp_path)
    model = describe(given["model"])
    assert "compared with each other" in str(why_not_packed(assignment(given), model))
    assert why_not_packed(assignment(given | {"in_batch": False}), model) is None
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    sharded = assignment(given).model_copy(update={"shards": 2})
    assert "compared with each other" in str(train(sharded, bench, lambda _: "continue").reason)
    with pytest.raises(ValueError, match="nothing is left to compare with"):
        TASK.section.model_validate(given | {"negatives": 0, "in_batch": False})


def test_references_and_temperature(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    given = section(tmp_path)
    found = {
        name: train(assignment(given).model_copy(update={"config": {"method": name}}), bench, lambda _: "continue")
        for name in ("bm25", "base")
    }
    assert [one.status for one in found.values()] == ["completed"] * 2
    assert found["bm25"].metrics["recall_at_10"] > found["base"].metrics["recall_at_10"]  # at random, it knows no word
    one, other = (
        train(assignment(given, temperature=value), bench, lambda _: "continue").metrics["train_loss"]
        for value in (0.05, 1.0)
    )
    assert one != pytest.approx(other, rel=0.01)
    head = train(assignment(given).model_copy(update={"config": {"method": "head"}}), bench, lambda _: "continue")
    assert "without a head to train" in str(head.reason)


@pytest.mark.parametrize(("pooling", "normalize"), [("mean", True), ("cls", False)])
def test_a_merged_trial_is_a_sentence_transformer_elsewhere(tmp_path: Path, pooling: str, normalize: bool) -> None:
    from sentence_transformers import SentenceTransformer

    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    given = section(tmp_path, pooling=pooling, normalize=normalize, query_prefix="my ")
    one = assignment(given, learning_rate=1e-3)
    found = train(one, bench, lambda _: "continue")
    assert found.adapter is not None, found.reason
    merge(bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter"), tmp_path / "merged")
    model = SentenceTransformer(str(tmp_path / "merged"), device="cpu")
    rows = TASK.rows_to_train_on(one.task, 0).validation
    assert rows.judged is not None
    asked = [rows.judged.queries[query] for query, _ in rows.judged.places.tolist() if query >= 0]
    said = list(rows.judged.documents)
    both = [model.encode(asked, prompt_name="query"), model.encode(said, prompt_name="document")]
    elsewhere = torch.from_numpy(np.concatenate(both))
    measure = SearchMeasure(rows.judged, normalize)
    measure.add(elsewhere, torch.arange(len(elsewhere)))
    assert measure.result()["loss"] == pytest.approx(found.metrics["loss"], rel=1e-4)
    split = WholePass(load_adapter(given["model"], tmp_path / "adapter"), prepare(one, bench).evaluated)
    with torch.no_grad():
        here = split.outputs(np.arange(len(elsewhere)))
    here = torch.nn.functional.normalize(here, dim=-1) if normalize else here
    assert torch.allclose(here, elsewhere, atol=1e-5)
    card = (tmp_path / "merged" / "README.md").read_text()
    assert "library_name: sentence-transformers" in card
    assert "pipeline_tag: sentence-similarity" in card
