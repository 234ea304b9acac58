"""`builtin:pytokens`: names in the standard library's code, tagged with the part they play.

A row is the line (or lines) of one statement, cut into Python's own tokens. Dotted names are spans: what is called, is
imported, is defined, or is a parameter. Code that every machine has; the parts are those of its syntax tree.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pa_compute

from workers.data.cache import table_of_this_python
from workers.data.standard_library import library, library_files

_LONGEST, _SHORTEST = 60, 4  # tokens of a row
_HELD_OUT = 500  # rows of validation, and of test
_PER_FILE = 40  # rows, so that no module speaks for all
_FORMAT = 1
Words = tuple[str, ...]
Place = tuple[int, int]
"""Line, from 1, and column."""


def read_pytokens(role: str) -> dict[str, list[Any]]:
    """Columns `tokens` and `tags` of one split: `train`, `validation` or `test`."""
    table = table_of_this_python(f"pytokens-{_FORMAT}", _build)
    chosen = table.filter(pa_compute.equal(table["split"], role))
    return {"tokens": chosen["tokens"].to_pylist(), "tags": chosen["tags"].to_pylist()}


def _build() -> pa.Table:
    rows = list(_rows())
    order = np.random.default_rng(0).permutation(len(rows))
    split = np.full(len(rows), "train", dtype=object)
    split[order[:_HELD_OUT]] = "validation"
    split[order[_HELD_OUT : 2 * _HELD_OUT]] = "test"
    return pa.table({"tokens": [list(one) for one, _ in rows], "tags": [list(one) for _, one in rows], "split": split})


def _rows() -> Iterator[tuple[Words, Words]]:
    """Different rows of all files, in the order of their names."""
    found: dict[Words, Words] = {}
    for path in library_files(library()):
        for words, tags in _statements(path.read_bytes()):
            found.setdefault(words, tags)
    yield from found.items()


def _statements(source: bytes) -> list[tuple[Words, Words]]:
    try:
        text = source.decode("utf-8")
        parts = _parts(ast.parse(text))
        lines = list(_logical_lines(text))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return []
    rows = []
    for line in lines:
        tags = _tags(line, parts)
        if _SHORTEST <= len(line) <= _LONGEST and any(tag != "O" for tag in tags):
            rows.append((tuple(token.string for token in line), tags))
    return rows[:: max(1, len(rows) // _PER_FILE)][:_PER_FILE]


def _logical_lines(text: str) -> Iterator[list[tokenize.TokenInfo]]:
    """The tokens of each statement; strings of several lines and comments are left out."""
    line: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            yield line
            line = []
        elif token.string.strip() and token.type != tokenize.COMMENT and "\n" not in token.string:
            line.append(token)


def _parts(tree: ast.Module) -> dict[Place, str]:
    """The part that a name plays, by where it begins; of a dotted one, by where its first name begins."""
    parts: dict[Place, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name() | ast.Attribute() as called) if _is_dotted(called):
                parts[called.lineno, called.col_offset] = "call"
            case ast.arg():
                parts[node.lineno, node.col_offset] = "parameter"
            case ast.alias():
                parts[node.lineno, node.col_offset] = "import"
            case ast.FunctionDef():
                parts[node.lineno, node.col_offset + len("def ")] = "function"
            case ast.AsyncFunctionDef():
                parts[node.lineno, node.col_offset + len("async def ")] = "function"
            case ast.ClassDef():
                parts[node.lineno, node.col_offset + len("class ")] = "class"
    return parts


def _is_dotted(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_dotted(node.value))


def _tags(line: list[tokenize.TokenInfo], parts: dict[Place, str]) -> tuple[str, ...]:
    tags: list[str] = []
    part = "O"
    before = ""
    for token in line:
        goes_on = part != "O" and "." in (token.string, before)
        part = part if goes_on else parts.get(token.start, "O")
        tags.append("O" if part == "O" else f"{'I' if goes_on else 'B'}-{part}")
        before = token.string
    return tuple(tags)
