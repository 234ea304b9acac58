"""Read CoNLL files: a word and its tag on each line, an empty line behind each sentence.

The first field of a line is the word, the last one the tag; what stands between is not read. Tabs separate fields, or
spaces where a line has no tab. `-DOCSTART-` lines are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workers.data.columns import Columns
from workers.data.encoding import open_text
from workers.errors import InvalidInput

_BOUNDARY = "-DOCSTART-"


def read_conll(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read a file as one column of words and one of tags, `label`. Raises `InvalidInput` naming the line."""
    words, tags, lines = _sentences(path, field)
    others = [name for name in names if name != label]
    if len(others) != 1:
        raise InvalidInput(field, f"columns {', '.join(names)} of {path}", "words and tags: all that the format has")
    return Columns(path, {others[0]: words, label: tags}, lines, "line", typed=True)


def _sentences(path: Path, field: str) -> tuple[list[list[str]], list[list[str]], list[int]]:
    """Words and tags of each sentence, and the line where it begins."""
    words: list[list[str]] = []
    tags: list[list[str]] = []
    lines: list[int] = []
    inside = False
    with open_text(path, field) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith(_BOUNDARY):
                inside = False
                continue
            if not inside:
                words.append([])
                tags.append([])
                lines.append(number)
                inside = True
            word, tag = _fields(line, number, path, field)
            words[-1].append(word)
            tags[-1].append(tag)
    return words, tags, lines


def _fields(line: str, number: int, path: Path, field: str) -> tuple[str, str]:
    fields = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
    if len(fields) < 2 or not fields[0] or not fields[-1].strip():
        found = f"line {number} of {path}: {line.strip()[:80]!r}"
        raise InvalidInput(field, found, "a word and its tag, separated by a tab or spaces")
    return fields[0], fields[-1].strip()
