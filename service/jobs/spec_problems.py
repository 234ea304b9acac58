"""What is wrong with the shape of a JobSpec: pydantic's errors with the names that would have been right."""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from service.errors import FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.jobs.field_problems import field_problems
from service.jobs.search.spec import JobSpec
from workers.tasks.registry import types


def spec_problems(error: ValidationError, spec: type[BaseModel] = JobSpec) -> list[FieldProblem]:
    """Every problem of the shape of a `spec`, one for each field."""
    entries = error.errors(include_url=False)
    plain = field_problems(entries)
    problems: dict[str, FieldProblem] = {}
    for problem, entry in zip(plain, entries, strict=True):
        named = _unknown_field(problem, entry["loc"], spec) if entry["type"] == "extra_forbidden" else problem
        problems[problem.field] = _either(problems[problem.field], named) if problem.field in problems else named
    return list(problems.values())


def _either(one: FieldProblem, other: FieldProblem) -> FieldProblem:
    """A value that fits no branch of a union, such as `auto` or a number: any of what the branches allow would do."""
    if one.allowed == other.allowed:
        return one
    allowed = f"{one.allowed}, or {other.allowed}"
    return FieldProblem(one.field, one.found, allowed, f"found {one.found!r}; allowed: {allowed}")


def _unknown_field(problem: FieldProblem, path: Sequence[int | str], spec: type[BaseModel]) -> FieldProblem:
    section = _section_at(path[:-1], spec)
    return unknown_name(problem.field, str(path[-1]), section.model_fields, "field") if section else problem


def _section_at(path: Sequence[int | str], spec: type[BaseModel]) -> type[BaseModel] | None:
    """The model whose field lies at `path` in a `spec`; list indices are passed over."""
    section: type[BaseModel] | None = spec
    for part in path:
        if isinstance(part, int) or section is None:
            continue
        if part in types():  # the branch of a union, not a field
            section = types()[part].section
            continue
        field = section.model_fields.get(part)
        section = None if field is None else _model_in(field.annotation)
    return section


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `list[ObjectiveSpec]` or `ConfirmSpec | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, list, tuple, Union, UnionType):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None
