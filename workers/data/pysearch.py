"""`builtin:pysearch`: what functions of Python's standard library do, and the functions that do it.

A query is the first sentence of a function's docstring, its document the function's head and first lines without that
docstring. No function of one file lies in two splits. Text that every machine has.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pa_compute

from workers.data.cache import table_of_this_python
from workers.data.documented_functions import documented_functions
from workers.data.standard_library import library, library_files

_CODE = (60, 400)  # characters
_FILES = (6, 3)  # of so many files in turn, the last so many are for validation and test
_FORMAT = 1


def read_pysearch(role: str) -> dict[str, list[Any]]:
    """Columns `query` and `document` of one split: `train`, `validation` or `test`."""
    table = table_of_this_python(f"pysearch-{_FORMAT}", _build)
    chosen = table.filter(pa_compute.equal(table["split"], role))
    return {name: chosen[name].to_pylist() for name in ("query", "document")}


def _build() -> pa.Table:
    rng = np.random.default_rng(0)
    files = [found for path in library_files(library()) if (found := list(_functions(path)))]
    rows: list[dict[str, str]] = []
    queries, documents = set[str](), set[str]()
    for place, number in enumerate(rng.permutation(len(files))):
        turn = place % sum(_FILES)
        split = "train" if turn < _FILES[0] else "validation" if turn % 2 else "test"
        for query, document in files[number]:
            if query not in queries and document not in documents:  # a sentence that two functions have asks for both
                rows.append({"split": split, "query": query, "document": document})
                queries.add(query)
                documents.add(document)
    return pa.Table.from_pylist(rows)


def _functions(path: Path) -> Iterator[tuple[str, str]]:
    """What the public functions of a file do, and their code without its docstring."""
    for node, sentence in documented_functions(path):
        node.body = node.body[1:] or [ast.Pass()]
        code = ast.unparse(node)
        if len(code) >= _CODE[0] and code.isascii():
            yield sentence, code[: _CODE[1]]
