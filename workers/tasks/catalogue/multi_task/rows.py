"""Rows of several tasks in one split, and their tokens: each task reads and encodes as it does alone. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workers.data.rows import Rows, TaskData
from workers.data.tokens import Encoded, encode_texts
from workers.tasks.catalogue.multi_task.parts import KINDS, UNANSWERED, decoded
from workers.tasks.catalogue.multi_task.section import MultiTaskSpec
from workers.tasks.catalogue.question_answering import TASK as QUESTIONS
from workers.tasks.catalogue.question_answering.windows import encode as encode_questions
from workers.tasks.catalogue.token_classification import encode as encode_words
from workers.tasks.coded_targets import coded, tasks_of
from workers.tasks.criterion import IGNORED
from workers.tasks.several_tasks import joined, parted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BETWEEN = ": "


def read(task: MultiTaskSpec, seed: int = 0) -> TaskData:
    """The rows of all tasks, one task behind the other. Raises `InvalidInput` naming the task and its field."""
    found = task.of_each(lambda part: KINDS[part.type].read(part, seed))
    labels = tuple(f"{name}{BETWEEN}{label}" for name, data in found.items() for label in data.labels)
    return joined(labels, found, lambda parts: _joined(list(found), parts))


def _joined(names: Sequence[str], parts: Sequence[Rows]) -> Rows:
    """One split; `domains` are the names of its rows' tasks."""
    size = sum(len(rows) for rows in parts)
    targets = np.empty(size, dtype=object)  # made first: rows of one length would become a matrix
    targets[:] = [coded(number, _wanted(target)) for number, rows in enumerate(parts) for target in rows.targets]
    paired = any(rows.pairs is not None for rows in parts)
    pairs = tuple(pair for rows in parts for pair in rows.pairs or ("",) * len(rows)) if paired else None
    texts = tuple(text for rows in parts for text in rows.texts)
    domains = tuple(name for name, rows in zip(names, parts, strict=True) for _ in range(len(rows)))
    return Rows(texts, pairs, targets, domains=domains)


def _wanted(target: Any) -> NDArray[Any]:
    """What a row has as targets, of which it has one at least."""
    found = np.atleast_1d(target)
    return found if len(found) else np.array(UNANSWERED)


def of_each(task: MultiTaskSpec, data: TaskData) -> dict[str, TaskData]:
    """The rows of each task by themselves, with its own labels and targets: what `read` put together."""
    return {
        name: parted(
            data,
            name,
            tuple(one.removeprefix(name + BETWEEN) for one in data.labels if one.startswith(name + BETWEEN)),
            partial(decoded, part.type),
        )
        for name, part in task.parts().items()
    }


def encode(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    """Token ids, and targets where the head reads: of words at their first sub-words, of a text at the token that the
    tokenizer puts in front of it, or at its last where it puts none (decoders read from left to right). A question's
    windows stand where its row does."""
    forms = np.array([_form(rows, row) for row in range(len(rows))])
    made: dict[int, list[dict[str, Any]]] = {}
    for form in np.unique(forms):
        places = np.flatnonzero(forms == form)
        found = _ENCODERS[form](rows.take(places), tokenizer, max_length)
        examples = found.pop("examples", np.arange(len(places)))
        for window, example in enumerate(examples):
            made.setdefault(int(places[example]), []).append({name: row[window] for name, row in found.items()})
    order = [(place, window) for place in range(len(rows)) for window in made[place]]
    names = made[0][0].keys() - {"spans"} if made else ()
    encoded: Encoded = {name: [window[name] for _, window in order] for name in names}
    if _SPANS in forms:
        encoded["examples"] = np.array([place for place, _ in order], dtype=np.int32)
        encoded["spans"] = [window.get("spans") for _, window in order]
    return encoded


def _form(rows: Rows, row: int) -> int:
    """What a row is. A span has two ends, and so an answer's target an even number of codes; classes and numbers are
    one."""
    if isinstance(rows.texts[row], tuple):
        return _WORDS
    if len(rows.targets[row]) > 1:
        return _SPANS
    return _PAIRS if rows.pairs is not None and rows.pairs[row] else _TEXTS


def _plain(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    return _texts(Rows(rows.texts, None, rows.targets), tokenizer, max_length)


def _questions(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    tasks = [int(tasks_of(codes[:1])[0]) for codes in rows.targets]
    own = Rows(rows.texts, rows.pairs, decoded(QUESTIONS.name, rows.targets))
    found = encode_questions(own, tokenizer, max_length)
    found["targets"] = [
        np.where(wanted == IGNORED, IGNORED, coded(tasks[example], wanted)).astype(np.int32)
        for wanted, example in zip(found["targets"], found["examples"], strict=True)
    ]
    return found


def _texts(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    encoded: Encoded = dict(encode_texts(rows, tokenizer, max_length))
    encoded["targets"] = []
    for ids, target in zip(encoded["input_ids"], rows.targets, strict=True):
        wanted = np.full(len(ids), IGNORED, dtype=np.int32)
        wanted[0 if ids[0] == tokenizer.cls_token_id else -1] = target[0]
        encoded["targets"].append(wanted)
    return encoded


_TEXTS, _PAIRS, _WORDS, _SPANS = range(4)
_ENCODERS = {_TEXTS: _plain, _PAIRS: _texts, _WORDS: encode_words, _SPANS: _questions}
