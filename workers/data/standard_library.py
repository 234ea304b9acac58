"""The files of the running Python's standard library, which built-in sets are made of."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_INSTALLED = frozenset({"site-packages", "dist-packages", "__pycache__"})
OWN_TESTS = frozenset({"test", "tests", "idlelib", "lib2to3"})
"""Folders of tests, and of programs that come with the library."""


def library() -> Path:
    """Where the library lies."""
    return Path(sysconfig.get_paths()["stdlib"])


def library_files(root: Path, without: frozenset[str] = OWN_TESTS) -> Iterator[Path]:
    """The Python files below `root` in the order of their names: none that pip installed, none in folders `without`."""
    for path in sorted(root.rglob("*.py")):
        if not (_INSTALLED | without) & set(path.relative_to(root).parts):
            yield path


def parsed(path: Path) -> ast.Module | None:
    """A file's syntax tree; None of one that is broken, as some of the library's own tests are on purpose."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None
