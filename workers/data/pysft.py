"""`builtin:pysft`: functions of the standard library, and what their docstrings say they do.

A row asks what a function does, showing its signature and the beginning of its body, and answers with the first
paragraph of its docstring. As `messages`, and as `prompt` and `completion` for models without a chat template.
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
from workers.data.near_duplicates import first_of_each
from workers.data.standard_library import library, library_files, parsed

_HELD_OUT = 200  # rows of validation, and of test
_LONGEST_CODE, _LONGEST_ANSWER, _SHORTEST_ANSWER = 240, 200, 20  # characters
_SIMILAR = 0.7
_FORMAT = 1
_QUESTION = "What does this Python function do? Answer in one sentence.\n\n{code}"


def read_pysft(role: str) -> dict[str, list[Any]]:
    """Columns `messages`, `prompt` and `completion` of one split: `train`, `validation` or `test`."""
    table = table_of_this_python(f"pysft-{_FORMAT}", _build)
    chosen = table.filter(pa_compute.equal(table["split"], role))
    prompts, answers = chosen["prompt"].to_pylist(), chosen["completion"].to_pylist()
    messages = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    return {"messages": messages, "prompt": [f"{prompt}\n\n" for prompt in prompts], "completion": answers}


def _build() -> pa.Table:
    found = [row for path in library_files(library()) for row in _functions(path)]
    kept = [found[index] for index in first_of_each([answer for _, answer in found], _SIMILAR)]
    order = np.random.default_rng(0).permutation(len(kept))
    split = np.full(len(kept), "train", dtype=object)
    split[order[:_HELD_OUT]] = "validation"
    split[order[_HELD_OUT : 2 * _HELD_OUT]] = "test"
    prompts = [_QUESTION.format(code=code) for code, _ in kept]
    return pa.table({"prompt": prompts, "completion": [answer for _, answer in kept], "split": split})


def _functions(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(parsed(path) or ast.Module([], [])):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        code, answer = _code(node), _answer(node)
        if answer and len(code) <= _LONGEST_CODE:
            yield code, answer


def _answer(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The first paragraph of the docstring as one line; empty where it is no sentence of a fit length."""
    first = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    fit = _SHORTEST_ANSWER <= len(first) <= _LONGEST_ANSWER and first[0].isupper() and first.endswith(".")
    return first if fit else ""


def _code(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The function without its docstring, in whole lines; only a signature may be longer than they may be together."""
    body = node.body[1:] or [ast.Pass()]
    bare = type(node)(node.name, node.args, body, [], returns=node.returns, lineno=1, col_offset=0)
    lines = ast.unparse(ast.fix_missing_locations(bare)).splitlines()
    kept = [lines[0]]
    for line in lines[1:]:
        if len("\n".join([*kept, line])) > _LONGEST_CODE:
            break
        kept.append(line)
    return "\n".join(kept)
