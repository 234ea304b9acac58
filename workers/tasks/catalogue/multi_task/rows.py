"""Rows of several tasks in one split, and their tokens: each task reads and encodes as it does alone. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.data.rows import Rows, TaskData
from workers.data.tokens import Encoded, encode_texts
from workers.tasks.catalogue.multi_task.parts import KINDS, decoded
from workers.tasks.catalogue.multi_task.section import MultiTaskSpec
from workers.tasks.catalogue.token_classification import encode as encode_words
from workers.tasks.coded_targets import coded
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
    targets[:] = [coded(number, np.atleast_1d(target)) for number, rows in enumerate(parts) for target in rows.targets]
    paired = any(rows.pairs is not None for rows in parts)
    pairs = tuple(pair for rows in parts for pair in rows.pairs or ("",) * len(rows)) if paired else None
    texts = tuple(text for rows in parts for text in rows.texts)
    domains = tuple(name for name, rows in zip(names, parts, strict=True) for _ in range(len(rows)))
    return Rows(texts, pairs, targets, domains=domains)


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
    tokenizer puts in front of it, or at its last where it puts none (decoders read from left to right)."""
    pairs = rows.pairs or ("",) * len(rows)
    kinds = np.array(
        [2 if isinstance(text, tuple) else int(bool(pair)) for text, pair in zip(rows.texts, pairs, strict=True)]
    )
    made: dict[int, dict[str, Any]] = {}
    for kind in np.unique(kinds):
        places = np.flatnonzero(kinds == kind)
        own = rows.take(places)
        if kind == 0:
            own = Rows(own.texts, None, own.targets)
        found = encode_words(own, tokenizer, max_length) if kind == 2 else _texts(own, tokenizer, max_length)
        for row, place in enumerate(places.tolist()):
            made[place] = {name: values[row] for name, values in found.items()}
    names = made[0].keys() if made else ()
    return {name: [made[place][name] for place in range(len(rows))] for name in names}


def _texts(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    encoded: Encoded = dict(encode_texts(rows, tokenizer, max_length))
    encoded["targets"] = []
    for ids, target in zip(encoded["input_ids"], rows.targets, strict=True):
        wanted = np.full(len(ids), IGNORED, dtype=np.int32)
        wanted[0 if ids[0] == tokenizer.cls_token_id else -1] = target[0]
        encoded["targets"].append(wanted)
    return encoded
