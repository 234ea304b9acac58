"""`builtin:pydocs`: the docstrings of the running Python's standard library, labelled by what they document.

Real text that every machine has. See docs/data.md. Read once per Python version, then kept in the cache folder.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pa_compute

from workers.data.cache import table_of_this_python
from workers.data.near_duplicates import first_of_each
from workers.data.standard_library import library, library_files, parsed

CLASSES = ("class", "function", "method", "module")
HELD_OUT_PER_CLASS = 150
LARGE_PACKAGES = ("idlelib", "test", "tkinter")
_FORMAT = 2
_SIMILAR = 0.5


def read_pydocs(role: str) -> dict[str, list[Any]]:
    """Columns `text`, `label`, `log2_words` and `part` of one split: `train`, `validation` or `test`."""
    table = table_of_this_python(f"pydocs-{_FORMAT}", _build)
    chosen = table.filter(pa_compute.equal(table["split"], role))
    texts = chosen["text"].to_pylist()
    words = [math.log2(len(text.split())) for text in texts]
    parts = [_part(source) for source in chosen["source"].to_pylist()]
    return {"text": texts, "label": chosen["label"].to_pylist(), "log2_words": words, "part": parts}


def _part(source: str) -> str:
    """The part of the library that a file is of: a large package by its name, one of the others, or a module alone."""
    package, _, within = source.partition("/")
    return (package if package in LARGE_PACKAGES else "packages") if within else "modules"


def _build() -> pa.Table:
    return build_pydocs(library())


def build_pydocs(root: Path) -> pa.Table:
    """Collect, deduplicate and split the docstrings below `root` into columns text, label, split, source."""
    found = [row for path in library_files(root, without=frozenset()) for row in _docstrings(path, root)]
    kept = [found[index] for index in first_of_each([text for text, _, _ in found], _SIMILAR)]
    labels = np.array([CLASSES.index(label) for _, label, _ in kept], dtype=np.int32)
    columns = [[row[position] for row in kept] for position in range(3)]
    return pa.table({"text": columns[0], "label": columns[1], "split": _splits(labels), "source": columns[2]})


def _docstrings(path: Path, root: Path) -> Iterator[tuple[str, str, str]]:
    if (tree := parsed(path)) is not None:
        yield from _walk(tree, "module", path.relative_to(root).as_posix())


def _walk(node: ast.AST, kind: str, source: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node)
        if text and text.strip():
            yield text, kind, source
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _walk(child, "class", source)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, "method" if kind == "class" else "function", source)
        elif isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _walk(child, kind, source)


def _splits(labels: np.ndarray[Any, np.dtype[np.int32]]) -> list[str]:
    """Validation and test take the same number of rows of every class; train keeps the rest."""
    rng = np.random.default_rng(0)
    split = np.full(len(labels), "train", dtype=object)
    for one in np.unique(labels):
        order = rng.permutation(np.flatnonzero(labels == one))
        held = min(HELD_OUT_PER_CLASS, len(order) // 5)
        split[order[:held]] = "validation"
        split[order[held : 2 * held]] = "test"
    return list(split)
