"""Text files as editors and spreadsheets save them: UTF-8, or UTF-16 and UTF-32 with a mark; also packed by gzip."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from workers.errors import InvalidInput

# UTF-32's little-endian mark begins with UTF-16's, so it is asked first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GZIP = ".gz"
_ALLOWED = "text in UTF-8, or in UTF-16 with a byte order mark"


@contextmanager
def open_text(path: Path, field: str, newline: str | None = None) -> Iterator[TextIO]:
    """Open a text file without its byte order mark; `newline` as for `open`.

    Raises `InvalidInput` for the job field `field`, naming the line where the bytes are not text.
    """
    encoding = _encoding(path, field)
    try:
        with _opened(path) as packed, io.TextIOWrapper(packed, encoding=encoding, newline=newline) as file:
            yield file
    except (EOFError, zlib.error) as error:
        message = f"{field}: {path} is no whole gzip file: {error}"
        raise InvalidInput(field, str(path), "a file that gunzip reads", message) from error
    except UnicodeDecodeError as error:
        where = f"{path}{_undecodable_line(path, encoding)}"
        message = f"{field}: {where} is not {encoding.removesuffix('-sig').upper()} ({error.reason})"
        raise InvalidInput(field, where, _ALLOWED, f"{message}; save the file as UTF-8") from error


def kind_of(path: Path) -> str:
    """The ending of a file's name that says what is in it, in lower case: `.jsonl` of `rows.jsonl.gz`, too."""
    return (path.with_suffix("") if path.suffix.lower() == _GZIP else path).suffix.lower()


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path) if path.suffix.lower() == _GZIP else path.open("rb")


def _encoding(path: Path, field: str) -> str:
    with _opened(path) as file:
        head = file.read(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\x00" in head:  # valid UTF-8, but no table begins so
        message = f"{field}: {path} begins like UTF-16 without a byte order mark; save the file as UTF-8"
        raise InvalidInput(field, str(path), _ALLOWED, message)
    return "utf-8"


def _undecodable_line(path: Path, encoding: str) -> str:
    """` line N`, the first that cannot be decoded; empty for encodings whose lines cannot be told by bytes."""
    if not encoding.startswith("utf-8"):
        return ""
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f" line {number}"
    return ""
