"""Demonstrations: which rows are shown, that nothing leaks, that no text is cut for them, that exports keep them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.tiny_chat_model import conversation, write_language_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data.demonstrations import Bank, demonstrated, read_bank
from workers.data.rows import Rows, TaskData
from workers.data.transforms import PLAIN, Transforms, transformed
from workers.errors import InvalidInput
from workers.models.description import describe
from workers.models.loading import load_tokenizer
from workers.running.packing import why_not_packed
from workers.running.preparing import prepare
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.causal_lm import TASK as CAUSAL
from workers.tasks.catalogue.causal_lm import CausalLMSpec
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.catalogue.text_regression import TextRegressionSpec
from workers.tasks.criterion import IGNORED

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=64, train_rows=60, validation_rows=24
)
HEAD = {"method": "head", "learning_rate": 1e-3}


def rows_of(texts: list[str], targets: list[int], pairs: list[str] | None = None) -> Rows:
    return Rows(tuple(texts), None if pairs is None else tuple(pairs), np.array(targets, dtype=np.int32))


def assignment(config: dict[str, object]) -> Assignment:
    return Assignment(trial_id="t", attempt=1, task=TASK, config=HEAD | config, epochs=1, seed=1, measure_latency=False)


def shown_before(data: TaskData, demos: int, tokenizer: Any, max_length: int) -> TaskData:
    transforms = Transforms(demos=demos)
    return transformed(data, transforms, transforms.bank(data, max_length), 0, tokenizer)


def test_the_most_alike_row_stands_next_to_the_text_and_no_row_with_its_own_words() -> None:
    train = rows_of(["red apples fall", "Red apples, fall!", "red pears fall", "blue saws cut"], [0, 1, 0, 1])
    bank = Bank.of(train, ("fruit", "tool"), in_pieces=False, count=3, max_length=64)
    assert bank.nearest("red apples fall") == ["fruit: red pears fall"]  # neither itself nor its double, none unlike it
    assert bank.nearest("red apples fall slowly")[-2:] == ["fruit: red apples fall", "tool: Red apples, fall!"][::-1]
    assert bank.nearest("old hammers") == []


def test_held_out_rows_are_shown_training_rows_alone_and_none_that_says_the_same() -> None:
    data = CLASSIFICATION.rows_to_train_on(TASK, 0)
    double = data.validation.texts[0]
    texts = (*data.train.texts[:-1], double)
    data = TaskData(
        data.labels, rows_of([str(text) for text in texts], list(data.train.targets)), data.validation, None
    )
    tokenizer = load_tokenizer(TASK.model)
    found = shown_before(data, 2, tokenizer, TASK.max_length)
    known = {f"{data.labels[target]}: {text}" for text, target in zip(texts, data.train.targets, strict=True)}
    shown = 0
    for old, new in ((data.train, found.train), (data.validation, found.validation)):
        assert new.targets.tolist() == old.targets.tolist()
        for before, after in zip(old.texts, new.texts, strict=True):
            assert str(after).endswith(str(before))
            lines = str(after).removesuffix(str(before)).removesuffix("\n")
            shown += lines != ""
            first = lines.split("\n")[0]
            assert any(one.startswith(first) for one in known)
            assert lines.count(str(before)) == 0
    assert shown > len(data.train)
    assert transformed(data, PLAIN, None, 0, tokenizer) is data


@pytest.mark.parametrize("pairs", [None, ["a second text of some words"]])
def test_no_text_is_cut_for_what_stands_before_it(pairs: list[str] | None) -> None:
    tokenizer = load_tokenizer("builtin:minilm")
    words = " ".join(f"word{number}" for number in range(40))
    train = rows_of([f"{words} alpha", f"{words} beta"], [0, 1], None if pairs is None else pairs * 2)
    for own in range(1, 40, 4):
        text = "word1 " * own
        bank = Bank.of(train, ("a", "b"), in_pieces=False, count=2, max_length=48)
        (found,) = bank.before_texts([text], pairs, tokenizer)
        second = None if pairs is None else pairs[0]
        whole = tokenizer.backend_tokenizer.encode(text, second).ids
        ids = tokenizer.backend_tokenizer.encode(found, second).ids
        assert found.endswith(text)
        assert len(ids) <= 48 or found == text
        assert len(ids) > len(whole) or len(whole) > 48 - 16


def test_prompts_are_shown_whole_conversations_and_nothing_more_is_learnt(tmp_path: Path) -> None:
    folder = write_language_model(tmp_path / "model")
    rng = random.Random(0)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(conversation(rng)) + "\n" for _ in range(40)))
    task = CausalLMSpec(type="causal-lm", model=str(folder), train=str(file), max_length=120)
    data, tokenizer = CAUSAL.rows_to_train_on(task, 0), load_tokenizer(str(folder))
    found = shown_before(data, 3, tokenizer, task.max_length)
    whole = {"".join(pieces) for pieces in data.train.texts}
    for old, new in ((data.train, found.train), (data.validation, found.validation)):
        counts = []
        for row in range(len(old)):
            own, more = "".join(old.texts[row]), "".join(new.texts[row])
            shown = more.removesuffix(own)
            parts = [f"{one}<|im_end|>\n" for one in shown.split("<|im_end|>\n")[:-1]]
            talks = ["".join(parts[place : place + 2]) for place in range(0, len(parts), 2)]
            assert set(talks) <= whole - {own}
            counts.append(len(talks))
        assert max(counts) == 3
        encoded = [CAUSAL.encode(rows, tokenizer, task.max_length) for rows in (old, new)]
        learnt = [[row[row != IGNORED].tolist() for row in one["targets"]] for one in encoded]
        assert learnt[0] == learnt[1]


def test_rows_without_prompts_are_refused() -> None:
    flags = np.empty(1, dtype=object)
    flags[:] = [np.array([0, 1], dtype=np.int32)]
    with pytest.raises(InvalidInput, match="a prompt is only read") as caught:
        Bank.of(Rows((("", "plain text"),), None, flags), (), in_pieces=True, count=1, max_length=8)
    assert caught.value.field == "demos"


def test_a_token_that_begins_texts_stands_there_once() -> None:
    class Tokenizer:
        bos_token = "<s>"
        backend_tokenizer = load_tokenizer("builtin:minilm").backend_tokenizer

    flags = np.empty(2, dtype=object)
    flags[:] = [np.array([0, 1], dtype=np.int32)] * 2
    rows = Rows((("<s>two pears", " fruit"), ("<s>three pears", " fruit")), None, flags)
    data = TaskData((), rows, rows, None, "messages")
    bank = Bank.of(rows, (), in_pieces=True, count=1, max_length=99)
    found = demonstrated(data, bank, Tokenizer())
    assert found.train.texts[0] == ("<s>three pears fruit", "two pears", " fruit")
    assert found.train.targets[0].tolist() == [0, 0, 1]


def test_a_trial_is_exported_with_what_its_texts_are_shown(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    outcome = train(assignment({"demos": 2}), bench, lambda _report: "continue")
    assert outcome.status == "completed", outcome.reason
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "adapter")
    assert "read_bank" in (folder / "README.md").read_text()
    data, tokenizer = CLASSIFICATION.rows_to_train_on(TASK, 0), load_tokenizer(TASK.model)
    texts = [str(text) for text in data.validation.texts]
    expected = shown_before(data, 2, tokenizer, TASK.max_length).validation.texts
    assert tuple(read_bank(folder).before_texts(texts, None, tokenizer)) == expected
    plain = prepare(assignment({}), bench).data.validation
    assert prepare(assignment({"demos": 2}), bench).data.validation.content_hash != plain.content_hash


def test_such_trials_train_alone_and_other_types_refuse(tmp_path: Path) -> None:
    wanted = assignment({"demos": 1})
    assert "training rows stand before" in str(why_not_packed(wanted, describe(TASK.model)))
    numbers = TextRegressionSpec(type="text-regression", model="builtin:minilm", train="builtin:pydocs")
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    with pytest.raises(InvalidInput) as caught:
        prepare(wanted.model_copy(update={"task": numbers}), bench)
    assert caught.value.field == "demos"
