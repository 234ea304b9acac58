"""Queries, documents and judgements are read alike from every form; what is odd is read rightly or refused by place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.data.rows import TaskData
from workers.errors import InvalidInput
from workers.tasks.registry import task

TASK = task("reranking")
TEXTS = {"1": "wings in a slipstream", "2": "heat in slabs", "3": "boundary layers", "4": ""}
ASKED = {"a": "which wings", "b": "what heat", "c": "which layers", "d": "why drag"}
GRADES = {"a": {"1": 3, "2": 0}, "b": {"2": 1}, "c": {"3": 2, "1": 0}, "d": {"3": 1}}


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def collection(folder: Path, judged: str = "query-id\tcorpus-id\tscore\n") -> Path:
    """A folder as BEIR has them, whose judgements are those of `GRADES`."""
    lines(folder / "corpus.jsonl", [{"_id": name, "title": "", "text": text} for name, text in TEXTS.items()])
    lines(folder / "queries.jsonl", [{"_id": name, "text": text} for name, text in ASKED.items()])
    for split, queries in (("train", "ab"), ("dev", "c"), ("test", "d")):
        found = [(query, *one) for query in queries for one in GRADES[query].items()]
        plain = "" if judged else "0\t"
        path = folder / "qrels" / f"{split}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(judged + "".join(f"{query}\t{plain}{name}\t{grade}\n" for query, name, grade in found))
    return folder


def read(train: Path, **fields: Any) -> TaskData:
    return TASK.read(TASK.section.model_validate({"model": "builtin:minilm", "train": str(train)} | fields), 0)


def judged(data: TaskData) -> dict[str, dict[str, int]]:
    """Grades of the training rows by texts."""
    found = data.train.judged
    assert found is not None
    return {
        query: {found.documents[number]: grade for number, grade in grades.items()}
        for query, grades in zip(found.queries, found.grades, strict=True)
    }


@pytest.mark.parametrize("header", ["query-id\tcorpus-id\tscore\n", "query_id\tdoc_id\tgrade\n", ""])
def test_folders_with_corpus_queries_and_judgements_are_known(tmp_path: Path, header: str) -> None:
    data = read(collection(tmp_path, header), test=str(tmp_path))
    assert data.form == "corpus, queries and judgements"
    assert judged(data) == {
        "which wings": {TEXTS["1"]: 3, TEXTS["2"]: 0},
        "what heat": {TEXTS["2"]: 1},
    }
    assert data.test is not None
    assert (data.validation.texts[0], data.test.texts[0]) == ("which layers", "why drag")
    assert data.train.judged is not None
    assert len(data.train.judged.documents) == 4  # the empty one, too: it is there to be missed


def test_pairs_and_triples_say_the_same(tmp_path: Path) -> None:
    pairs = [
        {"query": ASKED[query], "document": TEXTS[name], "label": grade}
        for query, grades in GRADES.items()
        for name, grade in grades.items()
    ]
    triples = [
        {"anchor": ASKED["a"], "positive": TEXTS["1"], "negative": [TEXTS["2"]]},
        {"anchor": ASKED["b"], "positive": [TEXTS["2"]], "negative": None},
        {"anchor": ASKED["c"], "positive": TEXTS["3"], "negative": TEXTS["1"]},
        {"anchor": ASKED["d"], "positive": TEXTS["3"], "negative": []},
    ]
    one = read(lines(tmp_path / "pairs.jsonl", pairs), validation=0.25)
    other = read(lines(tmp_path / "triples.jsonl", triples), validation=0.25)
    assert (one.form, other.form) == ("pairs with grades", "queries with positives and negatives")
    assert {query: {name: int(grade > 0) for name, grade in found.items()} for query, found in judged(one).items()} == (
        judged(other)
    )
    assert len({*one.train.texts}) == 3
    assert not {*one.train.texts} & {*one.validation.texts}  # no query lies in two splits


def test_pairs_without_a_grade_belong_together(tmp_path: Path) -> None:
    rows = [{"question": text, "passage": text[::-1]} for text in ASKED.values()]
    data = read(lines(tmp_path / "pairs.jsonl", rows), validation=0.25)
    assert data.form == "pairs that belong together"
    assert data.train.judged is not None
    assert not data.train.judged.listed  # candidates come from all documents
    assert {1.0} == {*data.train.targets.tolist()}


def test_odd_judgements_are_read_or_refused_with_their_place(tmp_path: Path) -> None:
    folder = collection(tmp_path)
    path = folder / "qrels" / "train.tsv"
    head = "query-id\tcorpus-id\tscore\n"
    path.write_text(head + "a\t1 \t-1\nb\t2\t1\n")  # TREC's spam, and a blank behind a name
    assert judged(read(folder))["which wings"] == {TEXTS["1"]: 0}
    for rows, said in (
        ("a\t1\t1\nz\t1\t1\n", "the query 'z' in column"),
        ("a\t1\t1\na\t9\t1\n", "the document '9' in column"),
        ("a\t1\t1\na\t1\t2\n", "grades 1 and 2 for one pair"),
    ):
        path.write_text(head + rows)
        with pytest.raises(InvalidInput, match="line 3 of ") as caught:
            read(folder)
        assert caught.value.field == "train"
        assert said in caught.value.found
    path.write_text(head + "a\t1\t1\na\t9\t1\n")
    assert judged(read(folder, unusable="drop")) == {"which wings": {TEXTS["1"]: 1}}
    path.write_text("a 1 one\n")
    with pytest.raises(InvalidInput, match="line 1 of "):
        read(folder)
    path.write_text(head + "a\t1\t0\n")
    with pytest.raises(InvalidInput, match="no relevant document"):
        read(folder)


def test_corpora_are_refused_by_place(tmp_path: Path) -> None:
    folder = collection(tmp_path)
    lines(folder / "corpus.jsonl", [{"_id": "1", "text": "x"}, {"_id": "1", "text": "y"}])
    with pytest.raises(InvalidInput, match="'1' again in column '_id', line 2"):
        read(folder)
    lines(folder / "corpus.jsonl", [{"_id": "1", "text": 7}])
    with pytest.raises(InvalidInput, match="7 in column 'text', line 1"):
        read(folder)
    lines(folder / "corpus.jsonl", [{"name": "1", "body": "x"}])
    with pytest.raises(InvalidInput, match="with the columns name, body"):
        read(folder)
    with pytest.raises(InvalidInput, match="a folder with a corpus"):
        read(collection(tmp_path / "whole"), validation=str(lines(tmp_path / "p.jsonl", [{"query": "a"}])))


def test_real_judgements_are_those_of_the_collection(shared_data: Path) -> None:
    folder = shared_data / "retrieval" / "cranfield"
    data = read(folder, test=str(folder))
    assert data.test is not None
    for part, queries in ((data.train, 130), (data.validation, 35), (data.test, 60)):
        assert part.judged is not None
        assert len(part.judged.queries) == queries
        assert len(part.judged.documents) == 1400
    pairs = read(folder / "train.jsonl", label="grade", validation=str(folder / "validation.jsonl"))
    assert len(pairs.train) == 1838
    kept = {query: {text: grade for text, grade in one.items() if grade} for query, one in judged(pairs).items()}
    assert kept == {query: {text: g for text, g in one.items() if text} for query, one in judged(data).items()}
