"""The likeliest answers of a question: those of an exhaustive search, written as SQuAD's scripts write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.service.tiny_task import write_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.errors import InvalidInput
from workers.running.preparing import prepare
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.question_answering import TASK
from workers.tasks.catalogue.question_answering.answers import exact_match, f1_token

LORA = {"method": "lora", "rank": 4, "alpha": 8, "targets": "all", "learning_rate": 1e-2, "batch_size": 4}
MOST = 5


def rows(unanswered: bool) -> list[dict[str, Any]]:
    """Questions with names, on contexts of several windows, some without an answer, of two places."""
    found = []
    for number in range(24):
        words = ["the", "old", "pear", "big", "saw", "my", "red", "plum", "one", "axe"] * 4
        context = " ".join(words[number % 7 :])
        at = context.index(asked := ("pear", "saw", "plum")[number % 3])
        answers = [] if unanswered and number % 4 == 0 else [{"text": asked, "answer_start": at}]
        named = {"name": f"q-{number}", "place": "yard" if number % 2 else "shed"}
        found.append({"question": f"my {asked}", "context": context, "answers": answers, **named})
    return found


def trial(folder: Path, unanswered: bool, **fields: Any) -> Assignment:
    write_model(folder / "model")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(unanswered)))
    source = str(folder / "rows.jsonl")
    task = {"type": "question-answering", "model": str(folder / "model"), "train": source, "validation": source}
    task |= {"max_length": 24, "doc_stride": 6, "max_answer_length": 4, **fields}
    given = {"trial_id": "t", "attempt": 1, "epochs": 1, "seed": 1, "measure_latency": False}
    return Assignment.model_validate({**given, "task": task, "config": LORA})


@pytest.mark.parametrize("unanswered", [True, False])
def test_files_beside_the_adapter_hold_what_an_exhaustive_search_finds(tmp_path: Path, unanswered: bool) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    one = trial(tmp_path, unanswered, n_best=MOST, id="name")
    found = train(one, bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    assert found.adapter is not None
    folder = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    answers, likeliest = (
        json.loads((folder / name).read_text()) for name in ("predictions.json", "nbest_predictions.json")
    )
    assert (folder / "null_odds.json").is_file() == unanswered
    data = rows(unanswered)
    right = [[one["text"] for one in row["answers"]] for row in data]
    assert list(answers) == [row["name"] for row in data]
    scores = [
        (f1_token(answers[row["name"]], own), exact_match(answers[row["name"]], own))
        for row, own in zip(data, right, strict=True)
    ]
    assert np.mean(scores, axis=0) == pytest.approx([found.metrics["f1_token"], found.metrics["exact_match"]])
    for entries in likeliest.values():
        assert sum(entry["probability"] for entry in entries) == pytest.approx(1.0)
        assert [entry["score"] for entry in entries] == sorted((entry["score"] for entry in entries), reverse=True)
        assert all(entry["score"] == pytest.approx(entry["start_logit"] + entry["end_logit"]) for entry in entries)
    if unanswered:
        odds = json.loads((folder / "null_odds.json").read_text())
        for name, entries in likeliest.items():
            none = next(entry["score"] for entry in entries if not entry["text"])
            best = max(entry["score"] for entry in entries if entry["text"])
            assert odds[name] == pytest.approx(none - best)
            assert (answers[name] == "") == (odds[name] > 0)
    assert "nbest_predictions.json" in (folder / "README.md").read_text()


def test_the_likeliest_are_those_over_all_windows_a_span_once(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    inputs = prepare(trial(tmp_path, True, n_best=MOST), bench).evaluated
    tokens, every = inputs._tokens, np.arange(len(inputs))
    assert tokens.examples is not None
    assert tokens.spans is not None
    assert len(inputs) > 2 * 24
    logits = torch.randn(len(inputs), int(inputs.lengths.max()), 2, generator=torch.Generator().manual_seed(0))
    assert inputs.criterion.predictions is not None
    predictions = inputs.criterion.predictions()
    for part in np.array_split(np.random.default_rng(0).permutation(every), 5):
        predictions.add(logits[part][:, : int(inputs.lengths[part].max())], inputs.targets(part))
    found = predictions.files()
    best: dict[str, dict[tuple[int, int], float]] = {}
    for window in every:
        spans = tokens.spans[tokens.offsets[window] : tokens.offsets[window + 1]]
        own = best.setdefault(str(tokens.examples[window]), {})
        for first in np.flatnonzero(spans[:, 1] > 0):
            for last in range(first, min(first + 4, len(spans))):
                if spans[last, 1] > 0:
                    place = int(spans[first, 0]), int(spans[last, 1])
                    score = float(logits[window, first, 0] + logits[window, last, 1])
                    own[place] = max(score, own.get(place, -np.inf))
    for name, entries in found["nbest_predictions.json"].items():
        ours = [entry["score"] for entry in entries if entry["text"]]
        assert ours == pytest.approx(sorted(best[name].values(), reverse=True)[:MOST], abs=1e-5)


def test_nothing_is_kept_where_nobody_asked(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    found = train(trial(tmp_path, True), bench, lambda _: "continue")
    assert found.adapter is not None, found.reason
    folder = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    assert not [file for file in folder.iterdir() if "predictions" in file.name or "odds" in file.name]


def test_names_that_are_none_are_refused_with_their_row(tmp_path: Path) -> None:
    given = rows(True)
    given[3]["name"] = None
    one = trial(tmp_path, True, id="name").task
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    with pytest.raises(InvalidInput, match=r"id: .*line 4"):
        TASK.read(one, 0)


def test_questions_are_measured_by_their_domain_however_many_windows_they_have(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    one = trial(tmp_path, False, domain="place")
    found = train(one, bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    own = {name: found.metrics[f"f1_token_in_{name}"] for name in ("shed", "yard")}
    assert found.metrics["worst_domain"] == min(own.values())
    assert np.mean(list(own.values())) == pytest.approx(found.metrics["f1_token"])  # each has half of the questions
    criterion, tokens = prepare(one, bench).evaluated.criterion, prepare(one, bench).evaluated._tokens
    assert criterion.domains is not None
    assert tokens.examples is not None
    assert criterion.domains.tolist() == (tokens.examples % 2).tolist()
    left = TASK.read(trial(tmp_path, False, domain="place", test="domain:yard").task, 0)
    assert left.test is not None
    assert set(left.test.domains or ()) == {"yard"}
    assert set(left.train.domains or ()) == {"shed"}
