"""Read JSON lines: one object per line, each with the columns that the task uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.data.columns import Columns, WrittenNumber, check_columns
from workers.data.encoding import open_text
from workers.errors import InvalidInput

_MARK = "\ufeff"


def read_jsonl(path: Path, names: Sequence[str], field: str) -> Columns:
    """Read columns of a file. Raises `InvalidInput` naming the line."""
    values: dict[str, list[Any]] = {name: [] for name in names}
    lines: list[int] = []
    with open_text(path, field) as file:
        for number, line in enumerate(file, start=1):
            written = line.lstrip(_MARK)  # files that were joined carry marks in their middle
            if not written.strip():
                continue
            row = _object(written, names, f"line {number} of ", path, field)
            lines.append(number)
            for name, column in values.items():
                column.append(row[name])
    return Columns(path, values, lines, "line", typed=True)


def _object(written: str, names: Sequence[str], where: str, path: Path, field: str) -> dict[str, Any]:
    try:
        row = DECODER.decode(written)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(field, f"{where}{path}: {error}", "one JSON object per line") from error
    if not isinstance(row, dict):
        raise InvalidInput(field, f"{where}{path}: {type(row).__name__}", "one JSON object per line")
    check_object(row, names, where, path, field, escaped="\\u" in written)  # only escapes can write half a character
    return row


def check_object(
    row: dict[str, Any], names: Sequence[str], where: str, path: Path, field: str, escaped: bool = True
) -> None:
    """Refuse an object without a column that the task uses, with one twice, or with half a character."""
    if isinstance(row, _Repeated) or any(name not in row for name in names):
        present = row.keys_written if isinstance(row, _Repeated) else list(row)
        check_columns(present, names, path, field, where)
    if escaped:
        _check_whole_characters(row, names, where, path, field)


def first_columns(path: Path, field: str) -> list[str]:
    """The columns of the first row; none where there is no row."""
    with open_text(path, field) as file:
        for number, line in enumerate(file, start=1):
            written = line.lstrip(_MARK)
            if written.strip():
                return list(_object(written, (), f"line {number} of ", path, field))
    return []


class _Repeated(dict[str, Any]):
    """A JSON object that names a key twice; which of the two is meant cannot be known."""

    keys_written: list[str]


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = _Repeated(found)
    repeated.keys_written = [key for key, _ in pairs]
    return repeated


DECODER = json.JSONDecoder(object_pairs_hook=_object_of, parse_float=WrittenNumber)  # `json.loads` makes one each time


def _check_whole_characters(row: dict[str, Any], names: Sequence[str], where: str, path: Path, field: str) -> None:
    """Refuse lone surrogates: no encoding can write them and no tokenizer reads them."""
    for name in names:
        value = row[name]
        try:
            value.encode() if isinstance(value, str) else None
        except UnicodeEncodeError as error:
            half = ascii(value[error.start])
            message = f"{field}: column {name!r}, {where}{path}: {half} is half of a character (a lone surrogate)"
            raise InvalidInput(
                field,
                f"{half} in column {name!r}, {where}{path}",
                "whole characters",
                f"{message}; remove or replace it",
            ) from error
