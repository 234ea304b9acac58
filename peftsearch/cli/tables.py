"""Tables of measurements that commands read: CSV, as spreadsheets and editors save it."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import typer

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(file: Path) -> str:
    """A file's text without its byte order mark: UTF-8, or UTF-16 with the mark. Raises typer.BadParameter."""
    try:
        content = file.read_bytes()
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file}: {error}") from error


def read_csv(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of every row; tabs part the cells of a .tsv. Raises typer.BadParameter."""
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(read_text(file), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise typer.BadParameter(f"{file}: the column {twice[0]!r} is there {header.count(twice[0])} times")
        for row in reader:
            if row and len(row) != len(header):
                found = f"{len(row)} cells, the header has {len(header)}"
                raise typer.BadParameter(f"{file}, line {reader.line_num}: {found}")
            if row:
                yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise typer.BadParameter(f"{file}, line {reader.line_num}: {error}") from error


def number(file: Path, where: str, column: str, value: object) -> float:
    """A cell as a number. Raises typer.BadParameter naming file, line and column."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise typer.BadParameter(f"{file}, {where}: {column} is {value!r}, not a number") from None
