"""`builtin:pycode`: small functions to write, each with tests, from what Python brings with it.

A row asks for a function that does what a method or a function of the standard library does, in the words of its own
documentation; the answer calls that. Tests are calls with their results, taken from the running Python.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pa_compute

from workers.data.cache import table_of_this_python

Arguments = tuple[Any, ...]
_WORDS = ("Hello World", "abc", "a1 b2 c3", "  spaced\tout  ", "MiXeD-case_99", "2024", "ßeta")
_PAIRS = (("banana", "an"), ("Hello World", "o"), ("a,b,,c", ","), ("abc", "abc"), ("path/to/file", "/"))
_LISTS = ([3, 1, 2], [5, 5, 1, 0], [-2, 7, 7, 3, 10], [1], [4, 8, 15, 16, 23, 42])
_NUMBERS = (0, 1, 2, 5, 7.5, -3, 0.25, 100, -1.5)
_NUMBER_PAIRS = ((7, 3), (2, 5), (10, 4), (-9, 4), (100, 8), (6, 6))
_SETS = (({1, 2, 3}, {2, 3, 4}), ({1}, {1, 2}), ({5, 6}, {7}), ({1, 2}, {1, 2}))
_MODULES = {
    "math": (_NUMBERS, _NUMBER_PAIRS, _LISTS),
    "operator": (_NUMBERS, _NUMBER_PAIRS),
    "statistics": (_LISTS,),
    "string": (_WORDS,),
    "textwrap": (_WORDS,),
    "html": (_WORDS,),
    "urllib.parse": (_WORDS,),
    "keyword": (("if", "name", "class", "None"),),
}
"""Modules whose functions neither print nor look at the machine, and what they may take."""
_TYPES: tuple[tuple[type, tuple[Sequence[Any], ...]], ...] = (
    (str, (_WORDS, _PAIRS)),
    (list, (tuple((values, 1) for values in _LISTS), tuple((values, 5) for values in _LISTS))),
    (set, (_SETS,)),
    (int, ((0, 1, 6, 255, -12),)),
    (float, ((0.5, 2.0, -1.25, 3.0),)),
    (bytes, ((b"abc", b"Hi There", b"\x00\xff", b"42"),)),
)
_NEEDED = 3  # calls that give a result
_HELD_OUT = 0.2  # of all rows, for validation, and as many for test
_FORMAT = 1


def read_pycode(role: str) -> dict[str, list[Any]]:
    """Columns `messages`, `prompt`, `completion` and `tests` of one split: `train`, `validation` or `test`."""
    table = table_of_this_python(f"pycode-{_FORMAT}", _build)
    chosen = table.filter(pa_compute.equal(table["split"], role))
    found = {name: chosen[name].to_pylist() for name in ("prompt", "completion", "tests")}
    found["messages"] = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        for prompt, answer in zip(found["prompt"], found["completion"], strict=True)
    ]
    return found


def _build() -> pa.Table:
    rows = list({prompt: (prompt, answer, tests) for prompt, answer, tests in _exercises()}.values())
    split = np.full(len(rows), "train", dtype=object)
    order, held = np.random.default_rng(0).permutation(len(rows)), int(_HELD_OUT * len(rows))
    split[order[:held]], split[order[held : 2 * held]] = "validation", "test"
    prompts, answers, tests = zip(*rows, strict=True)
    return pa.table({"prompt": prompts, "completion": answers, "tests": tests, "split": split})


def _exercises() -> Iterator[tuple[str, str, list[str]]]:
    """Prompt, answer and tests of each exercise."""
    for kind, samples in _TYPES:
        for name in sorted(vars(kind)):
            method = getattr(kind, name)
            if not name.startswith("_") and inspect.ismethoddescriptor(method):
                yield from _exercise(method, samples, lambda first, *more, n=name: f"{first}.{n}({', '.join(more)})")
    for module, samples in _MODULES.items():
        owner = importlib.import_module(module)
        for name in sorted(getattr(owner, "__all__", vars(owner))):
            function = getattr(owner, name)
            if not name.startswith("_") and inspect.isroutine(function):
                call = f"{module}.{name}"
                yield from _exercise(function, samples, lambda *given, c=call: f"{c}({', '.join(given)})", module)


def _exercise(
    function: Callable[..., Any], samples: Sequence[Sequence[Any]], call: Callable[..., str], module: str | None = None
) -> Iterator[tuple[str, str, list[str]]]:
    """The exercise of one function with the first kind of arguments that it takes; none where nothing comes of any."""
    says = _first_sentence(function)
    for values in samples if says else ():
        tests = [test for value in values if (test := _test(function, value if isinstance(value, tuple) else (value,)))]
        if len(tests) < _NEEDED or len({test.rpartition(" == ")[2] for test in tests}) == 1:
            continue
        count = len(values[0]) if isinstance(values[0], tuple) else 1
        names = ("value", "other", "third")[:count]
        head = f"solve({', '.join(names)})"
        prompt = f"Write a Python function `{head}`. {says}\nFor example, {_shown(tests[0])}"
        brought = f"import {module}\n\n\n" if module else ""
        yield prompt, f"```python\n{brought}def {head}:\n    return {call(*names)}\n```", tests
        return


def _test(function: Callable[..., Any], arguments: Arguments) -> str:
    """A call of `solve` with its result as an assertion; empty where there is no plain result."""
    given = ", ".join(map(repr, arguments))
    try:
        result = function(*deepcopy(arguments))  # some change what they are given
        if result is None or ast.literal_eval(repr(result)) != result or len(repr(result)) > 200:
            return ""
        ast.literal_eval(f"({given},)")
    except Exception:  # what a function of the library makes of arguments that are not its own
        return ""
    if isinstance(result, float) and not math.isfinite(result):
        return ""
    return f"assert solve({given}) == {result!r}"


def _shown(test: str) -> str:
    return f"`{test.removeprefix('assert ').replace(' == ', '` is `', 1)}`."


def _first_sentence(function: Callable[..., Any]) -> str:
    """What the documentation says first, as one line; empty where it says nothing of use."""
    text = inspect.getdoc(function) or ""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    prose = next((one for one in paragraphs if re.match(r"[A-Z][a-z]+ ", one) and len(one) > 20), "")
    sentence = re.split(r"(?<=\.)\s", prose)[0]
    return sentence if 20 <= len(sentence) <= 240 and sentence.endswith(".") else ""
