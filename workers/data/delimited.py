"""Read csv and tsv files strictly: every row has as many cells as the header, every quote that opens a cell closes it.

Cells stay text as written. Python's own reader rather than pyarrow's: it knows line numbers, refuses stray quotes
instead of reading on to the next one, has no block size that a long cell could exceed, and is as fast, because in
either case most of the time makes Python strings.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workers.data.columns import Columns, check_columns
from workers.data.encoding import open_text
from workers.errors import InvalidInput

if TYPE_CHECKING:
    from _csv import Reader

_LONGEST_CELL = 2**31 - 1  # characters; the reader's default of 131,072 is less than a manual in one cell


def read_csv(path: Path, names: Sequence[str], field: str) -> Columns:
    """Read columns of a comma-separated file, whose quoted cells may span lines (RFC 4180)."""
    return _read(path, names, field, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def read_tsv(path: Path, names: Sequence[str], field: str) -> Columns:
    """Read columns of a tab-separated file.

    Two kinds of writers exist: most take quotes for text; pandas and spreadsheets quote cells as in a csv. A file is of
    the second kind if every cell that begins with a quote is one that such a writer would have quoted.
    """
    plain = _attempt(path, names, field, csv.QUOTE_NONE)
    if not _quotes_open_cells(path, field):
        return _or_raise(plain)
    quoted = _attempt(path, names, field, csv.QUOTE_MINIMAL)
    if isinstance(quoted, InvalidInput):
        return _or_raise(plain)
    if isinstance(plain, InvalidInput):
        return quoted
    return quoted if _as_writers_quote(plain, quoted) else plain


def _attempt(path: Path, names: Sequence[str], field: str, quoting: int) -> Columns | InvalidInput:
    try:
        return _read(path, names, field, delimiter="\t", quoting=quoting)
    except InvalidInput as refusal:
        return refusal


def _or_raise(outcome: Columns | InvalidInput) -> Columns:
    if isinstance(outcome, InvalidInput):
        raise outcome
    return outcome


def _quotes_open_cells(path: Path, field: str) -> bool:
    with open_text(path, field) as file:
        return any(line.startswith('"') or '\t"' in line for line in file)


def _as_writers_quote(plain: Columns, quoted: Columns) -> bool:
    """Whether quotes that could be text are quoting: no row disappears into a cell, and within a column either all
    cells are quoted or only those that hold a quote."""
    if len(plain.numbers) != len(quoted.numbers):
        return False
    for name, cells in quoted.values.items():
        opened = [cell for cell, before in zip(cells, plain.values[name], strict=True) if cell != before]
        if len(opened) < len(cells) and not all('"' in cell for cell in opened):
            return False
    return True


def _read(path: Path, names: Sequence[str], field: str, *, delimiter: str, quoting: int) -> Columns:
    csv.field_size_limit(_LONGEST_CELL)
    with open_text(path, field, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
        rows = _rows(reader, path, field)
        _, header = next(rows, (1, []))
        check_columns(header, names, path, field)
        values: list[list[str]] = [[] for _ in names]
        wanted = [(column, header.index(name)) for column, name in zip(values, names, strict=True)]
        lines: list[int] = []
        for line, row in rows:
            if len(row) != len(header):
                raise _ragged(path, line, len(row), len(header), delimiter, field)
            lines.append(line)
            for column, position in wanted:
                column.append(row[position])
    return Columns(path, dict(zip(names, values, strict=True)), lines, "line", typed=False)


def _rows(reader: Reader, path: Path, field: str) -> Iterator[tuple[int, list[str]]]:
    """(line where the row begins, its cells) of every line or group of lines that is not blank."""
    begin = 1
    try:
        for row in reader:
            if row:
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        where = f"{path} line {begin}"
        allowed = 'quotes that open and close whole cells, with "" for a quote inside'
        message = (
            f"{field}: {where}: a quote opens a cell that is not closed properly by line {reader.line_num} ({error})"
        )
        raise InvalidInput(field, where, allowed, f"{message}; allowed: {allowed}") from error


def _ragged(path: Path, line: int, found: int, expected: int, delimiter: str, field: str) -> InvalidInput:
    where = f"{path} line {line}"
    remedy = "quote cells that hold a comma" if delimiter == "," else "a cell cannot hold a tab or a line break"
    message = f"{field}: {where} has {found} cells, the header has {expected}; {remedy}"
    return InvalidInput(field, f"{found} cells in {where}", f"{expected} cells in every row", message)
