"""Pydantic's errors in our terms: the field as people write it, what was found and what would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.redaction import redacted
from workers.refining.spec import step_models
from workers.tasks.registry import types

_BRANCHES = frozenset({"float", "int", "str", "bool", "literal"})


def field_problems(errors: Sequence[Mapping[str, Any]], skip: int = 0) -> list[FieldProblem]:
    """Pydantic's errors in our terms. `skip` drops leading parts of each location (`body`, `query`)."""
    return [_field_problem(error, skip) for error in errors]


def _field_problem(error: Mapping[str, Any], skip: int) -> FieldProblem:
    kind, context = str(error["type"]), error.get("ctx", {})
    where = error["loc"][skip:]
    path = [str(part) for n, part in enumerate(where) if not _names_a_branch(part) and not _names_a_step(where, n)]
    field = ".".join(path) or "(whole body)"
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind == "union_tag_invalid" and "'step'" in str(context.get("discriminator")):
        return unknown_name(f"{field}.step", str(context["tag"]), step_models(), "step")
    if kind == "union_tag_invalid":  # a type of task that there is not
        usable = [name for name in types() if repr(name) in str(context["expected_tags"])]
        return unknown_name(f"{field}.type", str(context["tag"]), usable, "type of task")
    if kind == "union_tag_not_found":
        return FieldProblem(
            field, short(error["input"]), "an object", f"found {short(error['input'])!r}; allowed: an object"
        )
    if kind == "missing":
        return FieldProblem(field, None, "a value", f"{field} is required and was not given")
    found = error.get("input")
    allowed = str(context.get("expected") or message[:1].lower() + message[1:])
    return FieldProblem(field, short(found), allowed, f"found {short(found)!r}; {message[:1].lower()}{message[1:]}")


def _names_a_branch(part: object) -> bool:
    """Pydantic puts the name of the tried branch of a union into the location; it is no field."""
    return isinstance(part, str) and ("[" in part or part.removeprefix("constrained-") in _BRANCHES or part in types())


def _names_a_step(where: Sequence[object], number: int) -> bool:
    """A step's own name behind its place in the list: Pydantic's branch again."""
    return number >= 2 and where[number - 2] == "steps" and where[number] in step_models()


def short(value: Any) -> Any:
    """A value as it is quoted back: never a whole document."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = redacted(value if isinstance(value, str) else repr(value))
    return text if len(text) <= 200 else text[:200] + "…"
