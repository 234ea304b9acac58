"""Rows that a configuration leaves out: the planted ones go, what it costs is told, and how it is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.tiny_task import FILLER, WORDS
from tests.workers.tiny_chat_model import conversation, write_language_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.errors import InvalidInput
from workers.models.description import describe
from workers.models.token_scores import token_scores
from workers.running import row_filter, trial
from workers.running.packing import why_not_packed
from workers.running.preparing import PreparedTrial, prepare
from workers.running.row_filter import after_filter, lowest
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_classification import TextClassificationSpec

ROWS, WRONG = 160, 40
MARK = {"train": "perhaps", "validation": "surely", "trusted": "truly"}
HEAD = {"method": "head", "learning_rate": 1e-2, "batch_size": 8}


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences with a fruit or a tool; every fourth training row has the other one's label."""
    folder, rng = tmp_path_factory.mktemp("sources"), random.Random(0)
    for role, rows in (("train", ROWS), ("validation", 24), ("trusted", 24)):
        lines = []
        for row in range(rows):
            kind = sorted(WORDS)[row // 2 % 2]
            words = [MARK[role], *rng.choices(FILLER, k=2), rng.choice(WORDS[kind])]
            wrong = role == "train" and row % 4 == 0
            label = next(other for other in sorted(WORDS) if (other == kind) != wrong)
            lines.append(json.dumps({"text": " ".join(words), "label": label}))
        (folder / f"{role}.jsonl").write_text("\n".join(lines))
    return folder


def classified(sources: Path, fields: dict[str, Any] | None = None, **config: Any) -> Assignment:
    roles = {role: str(sources / f"{role}.jsonl") for role in ("train", "validation", "trusted")}
    task = TextClassificationSpec(model="builtin:minilm", max_length=24, **(roles | (fields or {})))
    return Assignment(trial_id="t", attempt=1, task=task, config=HEAD | config, epochs=6, seed=1, measure_latency=False)


def left(given: Assignment, bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> tuple[PreparedTrial, list[int]]:
    """The trial behind its filter, and the rows that this kept."""
    kept: list[int] = []

    def spied(*told: Any) -> Any:
        rows = lowest(*told)
        kept.extend(rows.tolist())
        return rows

    monkeypatch.setattr(row_filter, "lowest", spied)
    lesson: Callable[..., Any] = partial(trial._lesson, bench)
    return after_filter(prepare(given, bench), lesson, bench.prefixes), kept


def test_of_each_class_the_lowest_share_is_kept() -> None:
    scores, classes = np.array([3.0, 1, 2, 9, 8, 7]), np.array([0, 0, 0, 0, 1, 1], dtype=np.int32)
    assert lowest(scores, classes, 0.5).tolist() == [1, 2, 5]
    assert lowest(scores, classes, 0.05).tolist() == [1, 5]
    assert lowest(scores, classes, 1.0).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("by", ["perplexity", "color"])
def test_rows_with_a_wrong_label_are_left_out(
    bench: Workbench, sources: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    prepared, kept = left(classified(sources, drop_share=1 / 4, drop_by=by), bench, monkeypatch)
    assert len(prepared.data.train) == len(kept) == pytest.approx(ROWS - WRONG, abs=1)
    wrong = sum(row % 4 == 0 for row in kept)
    assert wrong <= WRONG / 4  # a random choice would keep 30 of the 40
    whole = prepare(classified(sources), bench).data.tokens.train
    tokens = prepared.data.tokens.train
    for place, row in enumerate(kept):
        own = slice(tokens.offsets[place], tokens.offsets[place + 1])
        assert np.array_equal(tokens.input_ids[own], whole.input_ids[whole.offsets[row] : whole.offsets[row + 1]])
    assert np.array_equal(tokens.targets, whole.targets[kept])


def test_teachers_never_judge_rows_that_they_learnt_or_copies_of_these(
    bench: Workbench, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []
    taken = row_filter.taken

    def spied(tokens: Any, rows: Any) -> Any:
        seen.append({int(row) % ROWS for row in rows})
        return taken(tokens, rows)

    monkeypatch.setattr(row_filter, "taken", spied)
    left(classified(sources, drop_share=0.5, eda_copies=1), bench, monkeypatch)
    judged, learnt, judged_then, learnt_then, _ = seen
    assert judged.isdisjoint(learnt)
    assert judged == learnt_then
    assert learnt == judged_then
    assert len(judged | learnt) == ROWS


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations, of which those of the second half have answers that the trusted ones never give."""
    folder = tmp_path_factory.mktemp("written")
    write_language_model(folder / "model")
    rng = random.Random(0)
    for role, rows in (("train", 40), ("validation", 8), ("trusted", 24)):
        made = [conversation(rng) for _ in range(rows)]
        for row in made[20:] if role == "train" else ():
            row["messages"][-1]["content"] = " ".join(rng.choices(FILLER, k=4))
        (folder / f"{role}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    return folder


def asked(written: Path, **config: Any) -> Assignment:
    task = {"type": "causal-lm", "model": str(written / "model"), "max_length": 64}
    task |= {role: str(written / f"{role}.jsonl") for role in ("train", "validation", "trusted")}
    lora = {"method": "lora", "rank": 4, "targets": "all", "learning_rate": 2e-2, "batch_size": 4}
    common = {"trial_id": "t", "attempt": 1, "task": task, "epochs": 6, "seed": 1, "measure_latency": False}
    return Assignment.model_validate(common | {"config": lora | config})


def test_answers_unlike_those_that_are_trusted_are_left_out(
    bench: Workbench, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, kept = left(asked(written, drop_share=0.5, drop_by="color"), bench, monkeypatch)
    assert len(prepared.data.train) == 20
    assert sum(row < 20 for row in kept) >= 18
    assert prepared.before.tokens > 0


def test_perplexity_of_a_language_model_is_the_bases_own(
    bench: Workbench, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, kept = left(asked(written, drop_share=0.25), bench, monkeypatch)
    whole = prepare(asked(written), bench)
    base, rows = whole.resident.base.model, whole.data.train
    found = []
    for row in range(len(rows)):
        batch = rows.labelled(np.array([row]))
        scores = token_scores(base, {name: one for name, one in batch.items() if name != "labels"}, batch["labels"])
        found.append(float(scores[..., 0].sum() / rows.weights[row]))
    assert kept == sorted(np.argsort(found, kind="stable")[:30].tolist())
    assert prepared.before.tokens == 0  # nothing was trained for it


@pytest.mark.slow
def test_a_trial_tells_what_it_left_out_and_what_its_teachers_cost(bench: Workbench, sources: Path) -> None:
    def ran(**config: Any) -> Any:
        return train(classified(sources, **config), bench, lambda _report: "continue")

    plain, random_rows, judged = (ran(), ran(drop_share=0.5, drop_by="random"), ran(drop_share=0.5))
    assert {one.status for one in (plain, random_rows, judged)} == {"completed"}
    assert {one.environment["train_rows"] for one in (plain, random_rows, judged)} == {str(ROWS)}
    assert [one.environment.get("dropped_rows") for one in (plain, random_rows, judged)] == [None, "80", "80"]
    assert random_rows.metrics["train_tokens"] == pytest.approx(plain.metrics["train_tokens"] / 2, rel=0.05)
    assert judged.metrics["train_tokens"] > 2 * plain.metrics["train_tokens"]
    assert judged.metrics["loss"] < min(plain.metrics["loss"], random_rows.metrics["loss"])
    assert ran(drop_share=0.5).metrics["loss"] == judged.metrics["loss"]


def test_trusted_rows_stand_in_no_split(sources: Path) -> None:
    task = classified(sources, {"trusted": str(sources / "train.jsonl")}).task
    with pytest.raises(InvalidInput) as caught:
        CLASSIFICATION.rows_to_train_on(task, 0)
    assert caught.value.field == "trusted"
    data = CLASSIFICATION.rows_to_train_on(classified(sources, {"trusted_rows": 7}).task, 0)
    assert data.trusted is not None
    assert len(data.trusted) == 7
    other = sources / "other.jsonl"
    other.write_text(json.dumps({"text": "a text of its own", "label": "animal"}))
    with pytest.raises(InvalidInput) as caught:
        CLASSIFICATION.rows_to_train_on(classified(sources, {"trusted": str(other)}).task, 0)
    assert "animal" in str(caught.value)


def test_such_trials_train_alone_and_need_trusted_rows(bench: Workbench, sources: Path) -> None:
    given = classified(sources, drop_share=0.5, drop_by="color")
    assert "leaves training rows out" in str(why_not_packed(given, describe("builtin:minilm")))
    with pytest.raises(InvalidInput) as caught:
        prepare(classified(sources, {"trusted": None}, drop_share=0.5, drop_by="color"), bench)
    assert caught.value.field == "trusted"
    with pytest.raises(InvalidInput) as caught:
        prepare(given.model_copy(update={"shards": 2}), bench)
    assert caught.value.field == "drop_share"
