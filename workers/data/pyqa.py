"""`builtin:pyqa`: questions about the standard library whose answers stand in what its docstrings say.

A context lists some functions of one module, each with the first sentence of its docstring. Half of the questions name
a function and ask what it does, half say what is done and ask for the function; one in eight asks for a function that
the context does not list. Text that every machine has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pa_compute

from workers.data.cache import table_of_this_python
from workers.data.documented_functions import documented_functions
from workers.data.standard_library import library, library_files

_LISTED = 4  # functions of a context
_HELD_OUT = 100  # contexts of validation, and of test
_UNANSWERED = 8  # one question in so many has no answer
_FORMAT = 1
Function = tuple[str, str]
"""Its name, and what it does."""


def read_pyqa(role: str) -> dict[str, list[Any]]:
    """Columns `context`, `question` and `answers` of one split: `train`, `validation` or `test`."""
    table = table_of_this_python(f"pyqa-{_FORMAT}", _build)
    chosen = table.filter(pa_compute.equal(table["split"], role))
    answers = [
        {"text": texts, "answer_start": starts}
        for texts, starts in zip(chosen["texts"].to_pylist(), chosen["starts"].to_pylist(), strict=True)
    ]
    return {"context": chosen["context"].to_pylist(), "question": chosen["question"].to_pylist(), "answers": answers}


def _build() -> pa.Table:
    rng = np.random.default_rng(0)
    contexts = list(_contexts())
    elsewhere = [function for listed in contexts for function in listed]
    order = rng.permutation(len(contexts))
    rows: list[dict[str, Any]] = []
    for place, number in enumerate(order):
        held = "train" if place >= 2 * _HELD_OUT else ("validation", "test")[place // _HELD_OUT]
        for function in contexts[number]:
            asked = elsewhere[rng.integers(len(elsewhere))] if rng.integers(_UNANSWERED) == 0 else function
            rows.append({"split": held, **_row(contexts[number], asked, bool(rng.integers(2)))})
    return pa.Table.from_pylist(rows)


def _row(listed: list[Function], asked: Function, by_name: bool) -> dict[str, Any]:
    name, does = asked
    context = " ".join(f"{own}: {sentence}" for own, sentence in listed)
    question = f"What does {name} do?" if by_name else f"Which function is this: {does}"
    there = asked in listed
    begin = context.index(f"{name}: {does}") + (len(name) + 2 if by_name else 0) if there else -1
    answer = does if by_name else name
    return {
        "context": context,
        "question": question,
        "texts": [answer] if there else [],
        "starts": [begin] if there else [],
    }


def _contexts() -> Iterator[list[Function]]:
    """Functions with different names and sentences, some of one module together, in the order of files."""
    for path in library_files(library()):
        found: dict[str, str] = {}
        for name, does in _functions(path):
            if name not in found and does not in found.values():
                found[name] = does
        functions = list(found.items())
        for start in range(0, len(functions) - _LISTED + 1, _LISTED):
            yield functions[start : start + _LISTED]


def _functions(path: Path) -> Iterator[Function]:
    """Public functions and methods of a file with the first sentence of their docstrings."""
    for node, sentence in documented_functions(path):
        yield node.name, sentence
