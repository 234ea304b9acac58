"""Domains of rankings are those of queries: read from every form, left out of splits, and measured each by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.tiny_task import FILLER, WORDS, write_model
from tests.workers.tasks.ranking.test_forms import ASKED, GRADES, TEXTS, collection, lines
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data.rows import Judged, TaskData
from workers.errors import InvalidInput
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.ranking.metrics import Ranking, metrics_of_queries, ranking_metrics
from workers.tasks.registry import metrics_for, task

PLACES = {"a": "air", "b": "heat", "c": "air", "d": "heat"}


def read(train: Path, **fields: Any) -> TaskData:
    one = task("reranking")
    given = {"model": "builtin:minilm", "train": str(train), "domain": "place"} | fields
    return one.read(one.section.model_validate(given), 0)


def domains(data: TaskData) -> dict[str, dict[str, str]]:
    """Of each split, the domain of each query."""
    found = {}
    for role in ("train", "validation", "test"):
        judged = getattr(data, role).judged
        found[role] = dict(zip(judged.queries, judged.domains, strict=True))
    return found


def pairs() -> list[dict[str, Any]]:
    return [
        {"query": ASKED[query], "document": TEXTS[name], "label": grade, "place": PLACES[query]}
        for query, grades in GRADES.items()
        for name, grade in grades.items()
    ]


def folder_with_places(folder: Path) -> Path:
    """A folder as BEIR has them, whose queries tell their domains."""
    collection(folder)
    lines(folder / "queries.jsonl", [{"_id": q, "text": text, "place": PLACES[q]} for q, text in ASKED.items()])
    return folder


def test_every_form_tells_the_domains_of_its_queries(tmp_path: Path) -> None:
    folder = folder_with_places(tmp_path / "beir")
    assert domains(read(folder, test=str(folder))) == {
        "train": {"which wings": "air", "what heat": "heat"},
        "validation": {"which layers": "air"},
        "test": {"why drag": "heat"},
    }
    triples = [{"query": f"q {n}", "positive": f"p {n}", "negative": f"n {n}", "place": "ab"[n % 2]} for n in range(20)]
    for number, rows in enumerate((pairs(), triples)):
        found = domains(read(lines(tmp_path / f"{number}.jsonl", rows), validation=0.25, test=0.25))
        assert {q: place for split in found.values() for q, place in split.items()} == {
            row["query"]: row["place"] for row in rows
        }


def test_a_domain_that_is_left_out_is_asked_in_no_other_split(tmp_path: Path) -> None:
    table = lines(tmp_path / "pairs.jsonl", pairs())
    found = domains(read(table, test="domain:heat", validation=0.5))
    assert set(found["test"]) == {"what heat", "why drag"}
    assert {*found["train"].values(), *found["validation"].values()} == {"air"}
    left = domains(read(folder_with_places(tmp_path / "beir"), test="domain:heat"))
    assert left == {
        "train": {"which wings": "air"},
        "validation": {"which layers": "air"},
        "test": {"what heat": "heat"},
    }


def test_domains_that_cannot_be_are_refused_by_place(tmp_path: Path) -> None:
    twice = [*pairs(), {"query": ASKED["a"], "document": "more", "label": 1, "place": "heat"}]
    with pytest.raises(InvalidInput, match=r"'air' and 'heat' for one query in .*line 7") as caught:
        read(lines(tmp_path / "twice.jsonl", twice))
    assert caught.value.field == "domain"
    with pytest.raises(InvalidInput, match=r"line 7") as caught:
        read(lines(tmp_path / "none.jsonl", [*pairs(), {**pairs()[0], "query": "new", "place": None}]))
    assert caught.value.field == "domain"
    with pytest.raises(InvalidInput, match=r"no column 'place'") as caught:
        read(collection(tmp_path / "beir"))
    assert caught.value.field == "domain"


def test_the_metric_of_a_domain_is_that_of_its_queries_alone() -> None:
    rng = np.random.default_rng(0)
    places = tuple("abc"[n % 3] for n in range(30))
    grades = [{int(one): int(rng.integers(0, 2)) for one in rng.permutation(12)[:5]} for _ in places]
    grades[0] = dict.fromkeys(grades[0], 0)  # a query that nothing answers counts nowhere
    rankings: list[tuple[int, Ranking]] = [(n, (one, rng.permutation(12))) for n, one in enumerate(grades)]
    judged = Judged(places, (), tuple(grades), np.arange(12), False, np.zeros((0, 2), np.int32), domains=places)
    found = metrics_of_queries(rankings, judged)
    for place in "abc":
        own = ranking_metrics(one for n, one in rankings if places[n] == place)
        assert found[f"ndcg_at_10_in_{place}"] == pytest.approx(own["ndcg_at_10"])
    each = [found[f"ndcg_at_10_in_{place}"] for place in "abc"]
    assert found["worst_domain"] == min(each) < max(each)
    whole = ranking_metrics(one for _, one in rankings)
    assert {name: found[name] for name in whole} == pytest.approx(whole)


@pytest.mark.parametrize("kind", ["reranking", "retrieval"])
def test_trials_and_bm25_are_measured_by_domains(tmp_path: Path, kind: str) -> None:
    """Queries of a shed ask for a word of their document, those of a yard for none."""
    rows = []
    for n in range(80):
        word = [*WORDS["fruit"], *WORDS["tool"]][n % 8]
        told = word if n % 2 else FILLER[n % len(FILLER)]
        asked = f"{FILLER[n // 8 % len(FILLER)]} {n} {word}"
        rows.append({"query": asked, "document": f"{told} {1000 + n}", "place": ("yard", "shed")[n % 2]})
    given = {"type": kind, "model": str(write_model(tmp_path / "model")), "domain": "place", "negatives": 2}
    given |= {"train": str(lines(tmp_path / "rows.jsonl", rows)), "validation": 0.5, "max_length": 16}
    fields = {"trial_id": "t", "attempt": 1, "epochs": 1, "seed": 1, "measure_latency": False, "task": given}
    config = {"method": "lora", "rank": 2, "alpha": 4, "targets": "all", "learning_rate": 1e-2, "batch_size": 8}
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    for own in (config, {"method": "bm25"}):
        one = Assignment.model_validate(fields | {"config": own})
        found = train(one, bench, lambda _: "continue")
        assert found.status == "completed", found.reason
        each = [found.metrics[f"ndcg_at_10_in_{place}"] for place in ("shed", "yard")]
        assert found.metrics["worst_domain"] == min(each)
        assert min(each) <= found.metrics["ndcg_at_10"] <= max(each)
        assert metrics_for(one.task)["worst_domain"].direction == "maximize"
    assert found.metrics["ndcg_at_10_in_shed"] > found.metrics["ndcg_at_10_in_yard"]  # of BM25
