"""From labels as a file has them to class indices. A label is its text as written; what it means is decided once for
all splits of a task."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.data.columns import Columns, brief
from workers.errors import InvalidInput

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_WITH_FRACTION = re.compile(r"[+-]?[0-9]*\.[0-9]*[1-9][0-9]*(?:[eE][+-]?[0-9]+)?")
_MOST_FRACTIONS = 20  # more different numbers with fractions than this are measurements, not names


@dataclass(frozen=True)
class Labels:
    """Labels of one split.

    Attributes:
        source: where they were read, for messages.
        column: name of the column.
        texts: label of each row `[rows]`, never empty.
        whole_numbers: whether all are whole numbers (told by type where the file has types).
        names: of a `ClassLabel` column, in the order of its indices; `texts` holds names then.
    """

    source: str
    column: str
    texts: tuple[str, ...]
    whole_numbers: bool
    names: tuple[str, ...] | None

    def classes(self) -> tuple[str, ...]:
        """Class names in the order of a model's outputs: whole numbers by value, other texts alphabetically,
        `ClassLabel` columns in their own order. Raises `InvalidInput` where there is one class only."""
        present = set(self.texts)
        if len(present) < 2:
            found = f"{[*map(brief, present)]} as the only class of column {self.column!r} of {self.source}"
            raise InvalidInput("label", found, "at least two classes")
        if self.names is not None:
            return self.names
        return tuple(sorted(present, key=lambda text: (int(text), text)) if self.whole_numbers else sorted(present))


def read_labels(parts: Sequence[Columns], column: str) -> Labels:
    """The labels of a split that lies in one or more files. Raises `InvalidInput` naming column and row."""
    texts = tuple(text for part in parts for text in _texts(part, column))
    named = {part.class_names is not None for part in parts}
    if len(named) > 1:
        files = {part.class_names is not None: part.source for part in parts}
        found = f"{files[True]} with names for column {column!r} and {files[False]} without"
        raise InvalidInput("label", found, "names in all files of a split, or in none")
    names = tuple(dict.fromkeys(name for part in parts for name in part.class_names or ()))
    whole = all(_whole_numbers(part, column) for part in parts)
    return Labels(", ".join(str(part.source) for part in parts[:3]), column, texts, whole, names or None)


def class_indices(labels: Labels, classes: Sequence[str], train: Labels, role: str) -> NDArray[np.int32]:
    """Index of each label `[rows]`, int32, in `classes`, those of `train`; matched by name.

    Where one split has `ClassLabel` names and the other plain indices, they are matched by index.
    """
    index = {name: position for position, name in enumerate(classes)}
    texts: Sequence[str] = labels.texts
    unknown = {text for text in texts if text not in index}
    if unknown:
        texts = _by_index(labels, train)
        unknown = unknown if any(text not in index for text in texts) else set()
    if unknown:
        _ask_about_single_rows(train, Counter(train.texts).values())
        found = f"labels {', '.join(map(brief, sorted(unknown)[:5]))} in {labels.source} that train does not have"
        raise InvalidInput(role, found, f"the labels of train, {_some(classes)}")
    return np.array([index[text] for text in texts], dtype=np.int32)


def check_repeated(train: Labels, classes: Sequence[str], splits: Sequence[NDArray[np.int32]]) -> None:
    """Refuse a column most of whose classes have one row only, in all `splits` together: class indices `[rows]`."""
    _ask_about_single_rows(train, np.bincount(np.concatenate(splits), minlength=len(classes)).tolist())


def check_names(labels: Labels) -> None:
    """Refuse a column of measurements: many different numbers with fractions."""
    names = set(labels.texts)
    fractions = [text for text in names if _WITH_FRACTION.fullmatch(text)]
    if len(fractions) > _MOST_FRACTIONS and all(_is_number(text) for text in names):
        where = f"column {labels.column!r} of {labels.source}"
        found = f"{len(names)} different numbers, as {min(fractions)}, in {where}"
        raise InvalidInput("label", found, "class names; measurements are not classes unless they are grouped")


def _ask_about_single_rows(labels: Labels, rows_of_classes: Iterable[int]) -> None:
    present = [rows for rows in rows_of_classes if rows]
    once, rows, where = present.count(1), sum(present), f"column {labels.column!r} of {labels.source}"
    if 2 * once > len(present) > 2:
        which = "no class has" if once == len(present) else f"{once} of them do not have"
        message = (
            f"label: {len(present)} classes in {rows} rows of {where}, {which} two rows; is this the right column?"
        )
        raise InvalidInput("label", f"{len(present)} classes in {rows} rows", "classes with several rows each", message)


def _texts(columns: Columns, column: str) -> list[str]:
    texts: list[str] = []
    known: dict[tuple[type, Any], str] = {}  # most labels were seen before; the type tells true from 1
    for row, value in enumerate(columns.values[column]):
        try:
            text = known.get((type(value), value))
        except TypeError:  # a list or an object
            text = None
        if text is None:
            text = _name(columns, value) if columns.class_names is not None else _as_written(value)
            if not text or "\x00" in text:
                shown = brief(value) if text is None or "\x00" in text else "no value"
                raise InvalidInput(
                    "label", f"{shown} in {columns.place(row, column)}", "a class name (text or a number) in every row"
                )
            known[type(value), value] = text
        texts.append(text)
    return texts


def _as_written(value: object) -> str | None:
    """The text of a label, without spaces around it; empty where it is missing, None where it cannot be a label."""
    match value:
        case None:
            return ""
        case str():
            return str(value).strip()
        case bool():
            return "true" if value else "false"
        case int() | Decimal() | date() | datetime() | time():
            return str(value)
        case _:
            return None


def _name(columns: Columns, value: object) -> str | None:
    """Name of a `ClassLabel` index; empty for -1, which `datasets` writes for rows without a label."""
    names = columns.class_names
    assert names is not None
    if value is None or value == -1:
        return ""
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def _whole_numbers(columns: Columns, column: str) -> bool:
    values = columns.values[column]
    if columns.typed:
        return all(type(value) is int for value in values)
    return all(_WHOLE.fullmatch(text.strip()) for text in set(values))


def _by_index(labels: Labels, train: Labels) -> Sequence[str]:
    """The labels as the other of names and indices, where just one of the two splits has names."""
    if train.names is not None and labels.names is None and labels.whole_numbers:
        names = dict(zip(map(str, range(len(train.names))), train.names, strict=True))
        return [names.get(text, text) for text in labels.texts]
    if train.names is None and labels.names is not None:
        indices = {name: str(position) for position, name in enumerate(labels.names)}
        return [indices[text] for text in labels.texts]
    return labels.texts


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _some(classes: Sequence[str]) -> str:
    shown = ", ".join(map(brief, classes[:20]))
    return shown if len(classes) <= 20 else f"{shown} and {len(classes) - 20} more"
