"""A spec whose shape is wrong in places, mended so far that what is right in it can still be held against the world.

Without that, a user would learn of a missing file only after the last misspelt field was right.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from service.errors import FieldProblem
from service.jobs.spec_problems import spec_problems
from workers.tasks.registry import types

ROUNDS = 4
"""Mending a field may bring up what its section says of the whole; more rounds find nothing new."""

Path = tuple[int | str, ...]
_OBJECTIVE = {"metric": "accuracy", "direction": "maximize"}
_STAND_INS: Mapping[str, Any] = {
    "name": "unnamed",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
    "task.model": "builtin:minilm",
    "task.train": "builtin:pydocs",
    "space": {"preset": "lora"},
    "objectives": [_OBJECTIVE],
    "objectives.*.direction": "minimize",
    "constraints.*": {"metric": "loss", "min": 0},
    "design": {"train_rows": [2, 4]},
    "design.train_rows": [2, 4],
}
"""Values in place of required ones that are missing or wrong. Nothing is ever said about them."""


def mended(data: Any, model: type[BaseModel]) -> tuple[BaseModel | None, list[FieldProblem], frozenset[str]]:
    """The spec in `data`, every problem of its shape, and the fields that were mended.

    There is no spec where nothing can stand in for what is missing.
    """
    problems: list[FieldProblem] = []
    broken: set[str] = set()
    data = copy.deepcopy(data)
    for _ in range(ROUNDS):
        try:
            return model.model_validate(data), problems, frozenset(broken)
        except ValidationError as error:
            problems += [one for one in spec_problems(error, model) if not touches(one.field, broken)]
            if not isinstance(data, dict):
                break
            changed = {_mend(data, _lying(data, entry)) for entry in error.errors(include_url=False)}
            if "" in changed:  # what has no stand-in will be missing again
                break
            broken |= changed
    return None, problems, frozenset(broken)


def touches(field: str, broken: frozenset[str] | set[str]) -> bool:
    """Whether a field, a part of it or what it is a part of was mended."""
    return any(f"{one}.".startswith(f"{field}.") or f"{field}.".startswith(f"{one}.") for one in broken)


def _lying(data: Any, entry: Mapping[str, Any]) -> Path:
    """Where in `data` an error lies: its location ends in names of tried branches that are no fields."""
    path: list[int | str] = []
    for part in entry["loc"]:
        if part in types():  # the branch of a union
            continue
        there = part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)
        if not there:
            return (*path, part) if entry["type"] == "missing" else tuple(path)
        path.append(part)
        data = data[part]
    return (*path, "type") if entry["type"] == "union_tag_invalid" else tuple(path)


def _mend(data: dict[str, Any], path: Path) -> str:
    """Put a stand-in at `path`, or leave the field out, or do so with what it is a part of; the field that changed."""
    for length in range(len(path), 0, -1):
        *parents, last = path[:length]
        holder: Any = data
        for part in parents:
            holder = holder[part]
        stand_in = _stand_in(path[:length])
        if stand_in is not None:
            holder[last] = stand_in
        elif isinstance(holder, dict) and last in holder:
            del holder[last]
        else:
            continue
        return ".".join(map(str, path[:length]))
    return ""


def _stand_in(path: Sequence[int | str]) -> Any:
    pattern = ".".join("*" if isinstance(part, int) else part for part in path)
    own = "(" + ".".join(map(str, path)) + ")"  # each metric may appear once
    if pattern in {"objectives.*.metric", "constraints.*.metric"}:
        return own
    if pattern == "objectives.*":
        return _OBJECTIVE | {"metric": own}
    return copy.deepcopy(_STAND_INS.get(pattern))
