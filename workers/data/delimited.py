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
from workers.data.encoding import kind_of, open_text
from workers.errors import InvalidInput

if TYPE_CHECKING:
    from _csv import Reader

_PROPER_QUOTES = 'quotes that open and close whole cells, with "" for a quote inside'
_LONGEST_CELL = 2**31 - 1  # characters; the reader's default of 131,072 is less than a manual in one cell


def read_csv(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read columns of a comma-separated file, whose quoted cells may span lines (RFC 4180)."""
    return _read(path, names, label, field, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def read_tsv(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read columns of a tab-separated file.

    Two kinds of writers exist: most take quotes for text; pandas and spreadsheets quote cells as in a csv. A file is of
    the second kind if every cell that begins with a quote is one that such a writer would have quoted.
    """
    plain = _attempt(path, names, label, field, csv.QUOTE_NONE)
    if not _quotes_open_cells(path, field):
        return _or_raise(plain)
    quoted = _attempt(path, names, label, field, csv.QUOTE_MINIMAL)
    if isinstance(quoted, InvalidInput):
        return _or_raise(plain)
    if isinstance(plain, InvalidInput):
        return quoted
    return quoted if _as_writers_quote(plain, quoted) else plain


def header_of(path: Path, field: str) -> list[str]:
    """The columns of a csv or tsv file by its first row."""
    csv.field_size_limit(_LONGEST_CELL)
    with open_text(path, field, newline="") as file:
        reader = csv.reader(file, delimiter="\t" if kind_of(path) == ".tsv" else ",", strict=True)
        return next(_rows(reader, path, field), (1, 1, []))[2]


def _attempt(path: Path, names: Sequence[str], label: str, field: str, quoting: int) -> Columns | InvalidInput:
    try:
        return _read(path, names, label, field, delimiter="\t", quoting=quoting)
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
    """Whether quotes that could be text are quoting: cells span lines, or within a column either all cells are quoted
    or only those that hold a quote."""
    if len(plain.numbers) != len(quoted.numbers):
        return True
    for name, cells in quoted.values.items():
        opened = [cell for cell, before in zip(cells, plain.values[name], strict=True) if cell != before]
        if len(opened) < len(cells) and not all('"' in cell for cell in opened):
            return False
    return True


def _read(path: Path, names: Sequence[str], label: str, field: str, *, delimiter: str, quoting: int) -> Columns:
    csv.field_size_limit(_LONGEST_CELL)
    with open_text(path, field, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
        rows = _rows(reader, path, field)
        _, _, header = next(rows, (1, 1, []))
        check_columns(header, names, path, field)
        values: list[list[str]] = [[] for _ in names]
        wanted = [(column, header.index(name)) for column, name in zip(values, names, strict=True)]
        lines: list[int] = []
        spanning = 0  # line where a row begins that spans lines
        for line, end, row in rows:
            if len(row) != len(header):
                raise _ragged(path, line, len(row), len(header), delimiter, field)
            lines.append(line)
            for column, position in wanted:
                column.append(row[position])
            spanning = spanning or (line if end > line else 0)
    found = dict(zip(names, values, strict=True))
    if spanning:
        with open_text(path, field, newline="") as file:
            plain = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
            whole = _whole_rows(plain, len(header), header.index(label), frozenset(found[label]))
        _check_nothing_swallowed(whole, len(lines), f"{path} line {spanning}", field)
    return Columns(path, found, lines, "line", typed=False)


def _rows(reader: Reader, path: Path, field: str) -> Iterator[tuple[int, int, list[str]]]:
    """(line where the row begins, line where it ends, its cells) of all that is not blank."""
    begin = 1
    try:
        for row in reader:
            if row:
                yield begin, reader.line_num, row
            begin = reader.line_num + 1
    except csv.Error as error:
        where = f"{path} line {begin}"
        message = (
            f"{field}: {where}: a quote opens a cell that is not closed properly by line {reader.line_num} ({error})"
        )
        raise InvalidInput(field, where, _PROPER_QUOTES, f"{message}; allowed: {_PROPER_QUOTES}") from error


def _whole_rows(plain: Reader, width: int, label: int, labels: frozenset[str]) -> int:
    """How many lines are rows of their own, with a label that the table has, if quotes are text."""
    return sum(len(row) == width and row[label] in labels for row in plain)


def _check_nothing_swallowed(whole: int, rows: int, where: str, field: str) -> None:
    """Refuse quotes that close properly by chance, lines after they opened: with quotes as text there are more rows.
    Where quotes are meant, cells that span lines and hold separators leave fewer."""
    if whole > rows:
        found = f"quotes open cells that span lines, here first; read so, {rows} rows are left of at least {whole}"
        message = f"{field}: {where}: {found}; allowed: {_PROPER_QUOTES}"
        raise InvalidInput(field, f"{found} in {where}", _PROPER_QUOTES, message)


def _ragged(path: Path, line: int, found: int, expected: int, delimiter: str, field: str) -> InvalidInput:
    where = f"{path} line {line}"
    remedy = "quote cells that hold a comma" if delimiter == "," else "a cell cannot hold a tab or a line break"
    message = f"{field}: {where} has {found} cells, the header has {expected}; {remedy}"
    return InvalidInput(field, f"{found} cells in {where}", f"{expected} cells in every row", message)
