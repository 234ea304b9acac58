"""Which file a judge means, whether the operator allows it, and what is in it. Imports no torch."""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from workers.errors import InvalidInput
from workers.generation.judging.section import FileJudge, HarnessJudge

EXTRA = "pip install 'peftsearch[lm-eval]'"
LOADERS = ("arrow", "csv", "json", "parquet", "text")
"""Loaders of `datasets` that read local files."""


def code_file(judge: FileJudge | HarnessJudge, folders: Sequence[str | Path]) -> Path:
    """The judge's file, links followed. Asked when a job is submitted and again before each use.

    Raises `InvalidInput` with field `file` for one that is not there or lies outside the operator's `folders`.
    """
    roots = [Path(os.path.realpath(folder)) for folder in folders]
    if not roots:
        allowed = (
            "none: this service runs no code of jobs (`peftsearch serve --programs FOLDER` would allow a folder's)"
        )
        raise InvalidInput("file", judge.file, allowed)
    file = Path(os.path.realpath(judge.file))
    if not any(root in file.parents for root in roots):
        raise InvalidInput("file", judge.file, f"a file in {', '.join(map(str, roots))}")
    endings = (".py",) if isinstance(judge, FileJudge) else (".yaml", ".yml")
    if not file.is_file() or file.suffix not in endings:
        raise InvalidInput("file", judge.file, f"a file that ends in {' or '.join(endings)}")
    return file


def check_function(judge: FileJudge, file: Path) -> None:
    """Raise `InvalidInput` unless the file is Python that has the function."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, OSError) as error:
        raise InvalidInput("file", judge.file, f"Python that can be read ({error})") from None
    names = {one.name for one in body if isinstance(one, ast.FunctionDef)}
    names |= {alias.asname or alias.name for one in body if isinstance(one, ast.ImportFrom) for alias in one.names}
    names |= {to.id for one in body if isinstance(one, ast.Assign) for to in one.targets if isinstance(to, ast.Name)}
    if judge.function not in names:
        raise InvalidInput(
            "function", judge.function, f"one of the file's: {', '.join(sorted(names)) or 'it has none'}"
        )


def installed() -> bool:
    """Whether the harness is there."""
    return importlib.util.find_spec("lm_eval") is not None


def check_task(judge: HarnessJudge, file: Path) -> None:
    """Raise `InvalidInput` without the extra, and unless the file is one task of local data."""
    if not installed():
        raise InvalidInput("type", judge.type, f"where the extra is installed ({EXTRA})")
    task = _read(judge, file)
    if not isinstance(task.get("task"), str):
        raise InvalidInput("file", task.get("task"), "YAML of one task, its name under `task`")
    if task.get("dataset_path") not in LOADERS:
        raise InvalidInput("file", task.get("dataset_path"), f"`dataset_path` of local files: {', '.join(LOADERS)}")


def _read(judge: HarnessJudge, file: Path) -> dict[str, Any]:
    """The task file, functions that it names left as names: nothing of it is run here."""

    class Loader(yaml.SafeLoader):
        """Of this file alone."""

    Loader.add_constructor("!function", lambda _, node: str(node.value))
    try:
        task: Any = yaml.load(file.read_bytes(), Loader)
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise InvalidInput("file", judge.file, f"YAML that can be read ({error})") from None
    if not isinstance(task, dict):
        raise InvalidInput("file", judge.file, "YAML of one task")
    for include in [task["include"]] if isinstance(task.get("include"), str) else task.get("include") or ():
        whole = file.parent / str(include)
        task = (_read(judge, whole) if whole.is_file() and whole != file else {}) | task
    return dict(task)
