"""What a job's data looks like before anything is trained: how many rows, which labels, how long, the first ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from tokenizers import Tokenizer

from service.api.views import View
from workers.data.rows import Rows, TaskData

SHOWN_ROWS = 5
MEASURED_ROWS = 400
"""Rows whose length is measured: enough for its quantiles, and read in milliseconds."""
LABELS = 50
CELL = 240
"""Characters of a cell that are shown."""


class LengthsView(View):
    """How long rows are, in `unit`; of `rows` that were measured, the share `cut` is longer than `max_length`."""

    unit: str = Field(description="`tokens`, or `characters` where the tokenizer cannot be read here")
    rows: int
    median: float
    p95: float
    longest: float
    cut: float | None = Field(description="null where tokens are unknown")


class LabelView(View):
    """How many rows (of words: words) have a label."""

    label: str
    count: int


class SpreadView(View):
    """Numbers that rows are to be given."""

    low: float
    median: float
    high: float


class PieceView(View):
    """A piece of a rendered row: what is learnt of it, or nothing."""

    text: str
    learnt: Literal["", "learnt", "chosen", "rejected"]


class SplitView(View):
    """One split as it will be used. `columns` head the cells of `examples`, the first rows."""

    name: str = Field(description="of several tasks, with that of its task")
    rows: int
    columns: list[str]
    examples: list[list[str]]
    labels: list[LabelView] = Field(description=f"the most frequent {LABELS}, most frequent first")
    spread: SpreadView | None = Field(description="of numeric targets")
    lengths: LengthsView | None = Field(description="null of rows that are no texts")
    rendered: list[list[PieceView]] = Field(description="of conversations: the first rows by the chat template")


def preview(
    data: TaskData, parts: Mapping[str, TaskData], tokenizer: Tokenizer | None, max_length: int
) -> list[SplitView]:
    """The splits of a task's data; of several tasks (`parts`, by name), those of each. Whatever a type of task keeps
    for each row becomes a column."""
    several = parts or {"": data}
    return [
        _split(f"{split} of {name}" if name else split, rows, one, tokenizer, max_length)
        for name, one in several.items()
        for split, rows in (("train", one.train), ("validation", one.validation), ("test", one.test))
        if rows is not None
    ]


def _split(name: str, rows: Rows, data: TaskData, tokenizer: Tokenizer | None, max_length: int) -> SplitView:
    shown = rows.take(np.arange(min(SHOWN_ROWS, len(rows))))
    rendered = [_pieces(*one) for one in zip(shown.texts, shown.targets, strict=True)] if data.in_pieces else []
    columns = dict(_told(rendered, data.form) if data.in_pieces else _columns(shown, data.labels, data.form))
    return SplitView(
        name=name,
        rows=len(rows),
        columns=list(columns),
        examples=[[columns[column][index] for column in columns] for index in range(len(shown))],
        labels=_balance(rows, data.labels),
        spread=_spread(rows),
        lengths=_lengths(rows, tokenizer, max_length, "" if data.in_pieces else " "),
        rendered=rendered,
    )


def _columns(first: Rows, labels: tuple[str, ...], form: str) -> Iterator[tuple[str, list[str]]]:
    """The first rows, column by column; the first says how the source was read."""
    for field in fields(first):
        values = getattr(first, field.name)
        if values is None or not hasattr(values, "__len__") or len(values) != len(first):
            continue
        cells = [_target(value, labels) if field.name == "targets" else _cell(value) for value in values]
        name = "file" if field.name == "texts" and not first.written else _COLUMN.get(field.name, field.name)
        yield (f"{name}, read as {form}" if form and field.name == "texts" else name), cells


def _pieces(pieces: Sequence[str], flags: NDArray[Any]) -> list[PieceView]:
    """A row of text in pieces, which of it is learnt and how. Of a pair of answers (flags from 2 on are those of the
    second) the prompt is said once."""
    is_pair = bool((np.asarray(flags) >= _SECOND).any())
    kinds = {1: "chosen" if is_pair else "learnt", 1 + _SECOND: "rejected"}
    return [
        PieceView(text=_shortened(text), learnt=kinds.get(int(flag), ""))
        for text, flag in zip(pieces, flags, strict=True)
        if text and flag != _SECOND
    ]


def _told(rendered: Sequence[Sequence[PieceView]], form: str) -> Iterator[tuple[str, list[str]]]:
    """The same as columns: the whole, and what is learnt of it."""
    yield f"text, read as {form}", [_cell("".join(piece.text for piece in row)) for row in rendered]
    kinds = dict.fromkeys(piece.learnt for row in rendered for piece in row if piece.learnt)
    for kind in kinds:
        yield kind, [_cell("".join(piece.text for piece in row if piece.learnt == kind)) for row in rendered]


_SECOND = 2


def _shortened(text: str) -> str:
    """Both ends of a long piece: a template writes at each."""
    return text if len(text) <= 2 * CELL else f"{text[:CELL]} … {text[-CELL:]}"


_COLUMN = {"texts": "text", "pairs": "second text", "targets": "target", "domains": "domain"}


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= CELL else text[:CELL] + "…"


def _target(value: Any, labels: tuple[str, ...]) -> str:
    if isinstance(value, np.ndarray):
        return _cell(" ".join(_target(one, labels) for one in value))
    if isinstance(value, int | np.integer) and labels:
        return labels[int(value)] if 0 <= value < len(labels) else "–"
    return f"{float(value):.6g}"


def _flat(rows: Rows) -> np.ndarray[Any, Any]:
    """Targets of rows or of words, one behind the other."""
    if rows.targets.dtype == object:
        return np.concatenate([np.asarray(one) for one in rows.targets]) if len(rows) else np.array([])
    return np.asarray(rows.targets)


def _balance(rows: Rows, labels: tuple[str, ...]) -> list[LabelView]:
    targets = _flat(rows)
    if not labels or targets.dtype.kind not in "iu":
        return []
    counts = np.bincount(targets[(targets >= 0) & (targets < len(labels))], minlength=len(labels))
    order = np.argsort(-counts, kind="stable")[:LABELS]
    return [LabelView(label=labels[index], count=int(counts[index])) for index in order]


def _spread(rows: Rows) -> SpreadView | None:
    targets = _flat(rows)
    if targets.dtype.kind != "f" or not len(targets):
        return None
    low, median, high = np.quantile(targets, (0, 0.5, 1))
    return SpreadView(low=float(low), median=float(median), high=float(high))


def _lengths(rows: Rows, tokenizer: Tokenizer | None, max_length: int, between: str) -> LengthsView | None:
    count = min(MEASURED_ROWS, len(rows))
    if not count or not rows.written:
        return None
    chosen = np.linspace(0, len(rows) - 1, count).astype(int)
    texts = [between.join(rows.take(np.array([index])).strings()) for index in chosen]
    if tokenizer is None:
        lengths = np.array([len(text) for text in texts])
    else:
        whole = Tokenizer.from_str(tokenizer.to_str())  # files of tokenizers may ask for padding, and for a cut
        whole.no_padding()
        whole.no_truncation()
        lengths = np.array([len(encoded.ids) for encoded in whole.encode_batch(texts)])
    median, p95, longest = np.quantile(lengths, (0.5, 0.95, 1))
    return LengthsView(
        unit="characters" if tokenizer is None else "tokens",
        rows=count,
        median=float(median),
        p95=float(p95),
        longest=float(longest),
        cut=None if tokenizer is None else float(np.mean(lengths > max_length)),
    )
