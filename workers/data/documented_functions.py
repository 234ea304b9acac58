"""What public functions say of themselves: the first sentences of their docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from workers.data.standard_library import parsed

_SENTENCE = (20, 120)  # characters

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def documented_functions(path: Path) -> Iterator[tuple[Definition, str]]:
    """Public functions and methods of a Python file, each with its sentence; nothing of a file that cannot be read."""
    for node in ast.walk(parsed(path) or ast.Module([], [])):
        if isinstance(node, Definition) and not node.name.startswith("_"):
            sentence = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split()).partition(". ")[0]
            if _SENTENCE[0] <= len(sentence) <= _SENTENCE[1] and sentence.isascii():
                yield node, f"{sentence.rstrip('.')}."
