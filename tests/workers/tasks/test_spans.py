"""Spans by seqeval's rules. Expectations are what seqeval 1.2.2's `get_entities` gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from workers.data.rows import TaskData
from workers.errors import InvalidInput
from workers.tasks.catalogue.token_classification import TASK, SpanMeasure, spans
from workers.tasks.criterion import IGNORED


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O B-a I-a O", {("a", 1, 2)}),
        ("I-a I-a", {("a", 0, 1)}),
        ("B-a B-a", {("a", 0, 0), ("a", 1, 1)}),
        ("B-a I-b", {("a", 0, 0), ("b", 1, 1)}),
        ("S-a E-a I-a", {("a", 0, 0), ("a", 1, 1), ("a", 2, 2)}),
        ("B-a-b I-a-b", {("a-b", 0, 1)}),
        ("B I", {("_", 0, 1)}),
        ("O O", set()),
    ],
)
def test_spans_are_those_of_seqeval(tags: str, expected: set[tuple[str, int, int]]) -> None:
    assert spans(tags.split()) == expected


def test_spans_end_with_their_sentence_and_ignored_tokens_are_passed_over() -> None:
    measure = SpanMeasure(("O", "B-a", "I-a"))
    targets = torch.tensor([[IGNORED, 1, IGNORED, 2], [IGNORED, 2, 0, IGNORED]])
    predicted = torch.tensor([[2, 1, 0, 2], [0, 2, 2, 2]])
    measure.add(torch.nn.functional.one_hot(predicted, 3).float() * 9, targets)
    found = measure.result()
    assert found["f1_span"] == pytest.approx(2 * 1 / (2 + 2))  # the second sentence's span is one word too long
    assert found["accuracy"] == pytest.approx(3 / 4)


def test_conll_files_are_read_by_line(tmp_path: Path) -> None:
    def read(text: str) -> TaskData:
        path = tmp_path / "train.conll"
        path.write_text(text)
        section = TASK.section.model_validate({"model": "builtin:minilm", "train": str(path), "validation": 0.5})
        return TASK.read(section, 0)

    rows = read("-DOCSTART- -X- O\n\nan\tDT\tO\nold saw NN B-tool\n\t\n\nOne  B-x\n\nTwo\tO\nThree\tO")
    words = sorted([*rows.train.texts, *rows.validation.texts])
    assert words == [("One",), ("Two", "Three"), ("an", "old")]
    assert rows.labels == ("B-tool", "B-x", "O")
    with pytest.raises(InvalidInput, match=r"line 3 of .*'alone'.*a word and its tag"):
        read("a\tO\n\nalone\n\nb\tB-x\n")
