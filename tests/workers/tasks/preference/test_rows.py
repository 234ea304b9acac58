"""Pairs in every form become two rows, prompt and answer, with the answers learnt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.tiny_chat_model import write_language_model
from workers.data.chat.sides import Sides, UnfitSideError, sides_of
from workers.data.rows import Rows, TaskData
from workers.errors import InvalidInput
from workers.models.loading import load_tokenizer
from workers.tasks.catalogue.preference import TASK, PreferenceSpec
from workers.tasks.catalogue.preference.rows import sequences
from workers.tasks.criterion import IGNORED

HH = "\n\nHuman: a pear ?\n\nAssistant: one fruit .\n\nHuman: a saw ?\n\nAssistant:"
ASKED = [{"role": "user", "content": "a pear"}]


def says(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_prompts_are_found_in_front_of_both_sides() -> None:
    assert sides_of({"chosen": HH + " one tool .", "rejected": HH + " one fruit ."}) == Sides(
        HH, " one tool .", " one fruit ."
    )
    assert sides_of({"chosen": "a saw is one tool", "rejected": "a saw is one toy"}) == Sides(
        "a saw is one", " tool", " toy"
    )
    assert sides_of({"chosen": "yes", "rejected": "yellow"}) == Sides("", "yes", "yellow")
    talk = Sides(ASKED, says("fruit"), says("tool"))
    assert sides_of({"chosen": ASKED + says("fruit"), "rejected": ASKED + says("tool")}) == talk
    assert sides_of({"prompt": "a pear", "chosen": ASKED + says("fruit"), "rejected": ASKED + says("tool")}) == talk
    assert sides_of({"prompt": ASKED, "chosen": "fruit", "rejected": "tool"}) == talk
    assert sides_of({"prompt": json.dumps(ASKED), "chosen": says("fruit"), "rejected": says("tool")}) == talk


@pytest.mark.parametrize(
    ("cell", "column", "unusable"),
    [
        ({"chosen": HH, "rejected": HH + " one tool ."}, "chosen", True),
        ({"chosen": HH + " a", "rejected": HH + " a"}, "rejected", True),
        ({"prompt": "a", "chosen": "b", "rejected": " b"}, "rejected", True),
        ({"prompt": ASKED, "chosen": says(""), "rejected": says("tool")}, "chosen", True),
        ({"chosen": ASKED + says("a"), "rejected": ASKED + says("a")}, "rejected", True),
        ({"prompt": "a", "chosen": "b", "rejected": 3}, "rejected", False),
        ({"prompt": says("a"), "chosen": ASKED, "rejected": says("b")}, "chosen", False),
    ],
)
def test_sides_that_tell_no_preference(cell: dict[str, Any], column: str, unusable: bool) -> None:
    with pytest.raises(UnfitSideError) as caught:
        sides_of(cell)
    assert (caught.value.column, caught.value.unusable) == (column, unusable)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language_model(tmp_path_factory.mktemp("model"))


def read(model: Path, folder: Path, rows: list[dict[str, Any]], **fields: Any) -> TaskData:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"model": str(model), "train": str(path), "validation": str(path), "max_length": 64} | fields
    return TASK.read(TASK.section.model_validate(given), 0)


def learnt(model: Path, data: TaskData) -> list[str]:
    """What each row of the model learns to write, and all that it reads."""
    tokenizer = load_tokenizer(str(model))
    encoded = TASK.encode(data.train, tokenizer, 64)
    found = []
    for ids, targets in zip(encoded["input_ids"], encoded["targets"], strict=True):
        wanted = np.flatnonzero(targets != IGNORED) + 1
        assert (ids[wanted] == targets[wanted - 1]).all()
        found.append(tokenizer.decode(ids[wanted]))
    return found


def test_both_answers_are_learnt_behind_the_same_prompt(model: Path, tmp_path: Path) -> None:
    texts = {"prompt": "a pear ?", "chosen": " one fruit .", "rejected": " one tool ."}
    data = read(model, tmp_path, [texts] * 2)
    assert len(data.train) == 2
    assert learnt(model, data) == ["one fruit . <|im_end|>", "one tool . <|im_end|>"] * 2
    assert ["".join(pieces) for pieces in sequences(data.train).texts][:2] == [
        "a pear ? one fruit .<|im_end|>",
        "a pear ? one tool .<|im_end|>",
    ]
    talk = {"question": ASKED, "better": says("one fruit ."), "worse": says("one tool .")}
    named = {"prompt": "question", "chosen": "better", "rejected": "worse"}
    data = read(model, tmp_path, [talk] * 2, **named)
    assert learnt(model, data)[:2] == ["one fruit . <|im_end|>", "one tool . <|im_end|>"]


def test_kto_reads_each_prompt_with_an_answer_to_another_one() -> None:
    pairs = [(f"asked {n} ", f"good {n}", f"bad {n}") for n in range(3)]
    flags = np.empty(3, dtype=object)
    flags[:] = [np.array([0, 0, 1, 2, 2, 3], dtype=np.int32)] * 3
    rows = Rows(tuple(("", a, good, "", a, bad) for a, good, bad in pairs), None, flags)
    made = sequences(rows, mismatched=True)
    assert [("".join(text), learnt.tolist()) for text, learnt in zip(made.texts, made.targets, strict=True)][2::3] == [
        ("asked 0 good 2", [0, 0, 1]),
        ("asked 1 bad 0", [0, 0, 1]),
        ("asked 2 good 1", [0, 0, 1]),
    ]
    plain = sequences(rows)
    assert [made.texts[place] for place in (0, 1, 3, 4, 6, 7)] == list(plain.texts)
    spec = PreferenceSpec(model="m", train="t", loss_type="kto")
    assert (TASK.rows_each(spec), TASK.compares_batch(spec), TASK.criterion(spec, ()).together) == (3, True, 3)


def test_rows_without_a_preference_are_refused_with_their_line_or_left_out(model: Path, tmp_path: Path) -> None:
    good = {"prompt": "a pear ?", "chosen": "fruit", "rejected": "tool"}
    bad = [good | {"chosen": " "}, good | {"rejected": "fruit"}]
    with pytest.raises(InvalidInput, match=r"an empty answer in column 'chosen', line 2 of .*unusable: drop"):
        read(model, tmp_path, [good, *bad])
    assert len(read(model, tmp_path, [good, *bad, good], unusable="drop").train) == 2
    with pytest.raises(InvalidInput, match="only rows with equal or empty answers"):
        read(model, tmp_path, bad, unusable="drop")
    with pytest.raises(InvalidInput, match="3"):  # not well-formed: never dropped
        read(model, tmp_path, [good, good | {"chosen": 3}], unusable="drop")
    long = good | {"prompt": "pear " * 70}
    with pytest.raises(InvalidInput, match=r"70 tokens before the answer in column 'prompt', line 2.*overlong: drop"):
        read(model, tmp_path, [good, long])
    assert len(read(model, tmp_path, [good, long, good], overlong="drop").train) == 2


def test_columns_that_are_not_there_are_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"without column rejected"):
        read(model, tmp_path, [{"prompt": "a", "chosen": "b"}])
    with pytest.raises(InvalidInput, match=r"without column question"):
        read(model, tmp_path, [{"chosen": "b", "rejected": "c"}], prompt="question")


def test_single_answers_that_are_marked_are_refused_with_what_would_do(model: Path, tmp_path: Path) -> None:
    marked = [{"prompt": "a", "completion": "b", "label": True}, {"prompt": "a", "completion": "c", "label": False}]
    for loss in ("kto", "sigmoid"):
        with pytest.raises(InvalidInput, match=r"single answers, marked as good or bad.*`chosen` and `rejected`"):
            read(model, tmp_path, marked, loss_type=loss)
    named = [row | {"good": "b", "bad": "c"} for row in marked]  # columns that are named are what counts
    assert len(read(model, tmp_path, named, chosen="good", rejected="bad", loss_type="kto").train) == 2


def test_real_pairs_are_read_with_and_without_a_column_of_prompts(model: Path, shared_data: Path) -> None:
    def rows(path: str, **fields: Any) -> TaskData:
        files = dict.fromkeys(("train", "validation"), str(shared_data / "preference/hh_helpful" / path))
        limits = {"max_length": 8192, "unusable": "drop"}
        return TASK.read(TASK.section.model_validate({"model": str(model), **limits, **files, **fields}), 0)

    with pytest.raises(InvalidInput, match="unusable: drop"):
        rows("raw/helpful-base-test.jsonl.gz", unusable="refuse")
    raw, cut = rows("raw/helpful-base-test.jsonl.gz"), rows("validation.jsonl")
    assert len(raw.train) == 2354 - 6
    assert set(cut.train.texts) <= set(raw.train.texts)
