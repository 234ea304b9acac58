"""From rows of question, context and answers to spans of characters. Imports no torch.

Answers come as SQuAD has them: a list of `text` and `answer_start`, or one object of two lists. A span is where its
text stands in the context, counted in characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.data.columns import Columns, brief
from workers.data.domains import domains_of
from workers.data.rows import Rows, TaskData
from workers.data.sources import divided, read_splits
from workers.errors import InvalidInput
from workers.tasks.catalogue.question_answering.section import QuestionAnsweringSpec

OUTPUTS = ("start", "end")
_FORM = "a list of {text, answer_start}, or {text: [...], answer_start: [...]}; none where the context has no answer"


def read(task: QuestionAnsweringSpec, seed: int = 0) -> TaskData:
    """The rows of a task. Raises `InvalidInput` naming the field and the row.

    What is split off `train` shares no context with it: questions on one text would tell each other's answers.
    """
    named = () if task.id is None else (task.id,)
    splits = read_splits(task, (task.question, task.context, *named), task.answers)
    rows = {role: _rows(parts, task) for role, parts in splits.items()}
    if not any(len(spans) for spans in rows["train"].targets):
        raise InvalidInput("answers", f"no answer in {task.train}", "some questions that their contexts answer")
    return divided(task, seed, OUTPUTS, rows, lambda rows: np.zeros(len(rows), dtype=np.int64), _contexts)


def _rows(parts: Sequence[Columns], task: QuestionAnsweringSpec) -> Rows:
    questions = [text for part in parts for text in _texts(part, task.question, "question")]
    contexts = [text for part in parts for text in _texts(part, task.context, "context")]
    places = [(part, row) for part in parts for row in range(len(part.numbers))]
    targets = np.empty(len(places), dtype=object)  # made first: rows of one length would become a matrix
    targets[:] = [
        _spans(part.values[task.answers][row], context, part.place(row, task.answers))
        for (part, row), context in zip(places, contexts, strict=True)
    ]
    names = None if task.id is None else tuple(_name(part, row, task.id) for part, row in places)
    return Rows(tuple(questions), tuple(contexts), targets, domains=domains_of(task, parts), names=names)


def _name(part: Columns, row: int, column: str) -> str:
    value = part.values[column][row]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise InvalidInput("id", f"{brief(value)} in {part.place(row, column)}", "a text or a number in every row")
    return str(value)


def _contexts(rows: Rows) -> NDArray[np.int64]:
    """A number [rows] for each row's context."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(context, len(numbers)) for context in rows.pairs or ()], dtype=np.int64)


def _texts(columns: Columns, name: str, field: str) -> list[str]:
    for row, value in enumerate(columns.values[name]):
        if type(value) is not str or not value.strip():
            raise InvalidInput(field, f"{brief(value)} in {columns.place(row, name)}", "a text in every row")
    return columns.values[name]


def _spans(value: Any, context: str, place: str) -> NDArray[np.int32]:
    """First character and end of each answer of a row, `[2 · answers]`."""
    found: list[int] = []
    for text, start in _pairs(value, place):
        if not isinstance(text, str) or not text or isinstance(start, bool) or not isinstance(start, int):
            raise InvalidInput("answers", f"{brief((text, start))} in {place}", _FORM)
        begin = _where(text, start, context, place)
        found += [begin, begin + len(text)]
    return np.array(found, dtype=np.int32)


def _pairs(value: Any, place: str) -> list[tuple[Any, Any]]:
    if value is None:
        return []
    if isinstance(value, Mapping) and value.keys() >= {"text", "answer_start"}:
        texts, starts = value["text"], value["answer_start"]
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            return list(zip(texts, starts, strict=True))
        if isinstance(texts, str):
            return [(texts, starts)]
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return [(one.get("text"), one.get("answer_start")) for one in value]
    raise InvalidInput("answers", f"{brief(value)} in {place}", _FORM)


def _where(text: str, start: int, context: str, place: str) -> int:
    """Where an answer begins: where the row says, or where alone it stands, for offsets in bytes or behind markup."""
    if start >= 0 and context.startswith(text, start):
        return start
    first = context.find(text)
    if first < 0:
        raise InvalidInput(
            "answers", f"{brief(text)} in {place}", "answers that stand in their context, letter by letter"
        )
    if context.find(text, first + 1) >= 0:
        there = brief(context[start : start + len(text)]) if 0 <= start < len(context) else "nothing"
        found = f"{brief(text)} at character {start} in {place}, where the context has {there}"
        raise InvalidInput(
            "answers", found, "the character, counted from 0, where the answer begins: it occurs several times"
        )
    return first
