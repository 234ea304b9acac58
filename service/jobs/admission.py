"""Admits a job of any kind: the shape of its spec here, the world in the module of its kind.

Every problem found is reported at once, those of the shape beside those of the world as far as the two do not depend on
each other; nothing is stored on a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from service.errors import BadInput, FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.jobs.kinds import SPECS, DesignedSpec, kind_of
from service.jobs.law.admission import admit_law
from service.jobs.law.spec import LawSpec
from service.jobs.mending import mended, touches
from service.jobs.mixture.admission import admit_mixture
from service.jobs.mixture.spec import MixtureSpec
from service.jobs.refine.admission import admit_refine
from service.jobs.refine.spec import RefineSpec
from service.jobs.search.admission import SearchAdmission
from service.jobs.search.spec import JobSpec
from service.settings import Settings


@dataclass(frozen=True)
class Look:
    """What a look at a job file found: the spec where it is sound, every problem, and of a search what was read."""

    spec: JobSpec | DesignedSpec | None
    problems: tuple[FieldProblem, ...]
    search: SearchAdmission | None = None


def admit(data: Any, settings: Settings) -> JobSpec | DesignedSpec:
    """The JobSpec in `data` (parsed JSON or YAML), its paths absolute. Raises BadInput with every problem found."""
    found = look(data, settings)
    if found.problems or found.spec is None:
        raise BadInput.of(list(found.problems))
    return found.spec


def look(data: Any, settings: Settings) -> Look:
    """The same without a refusal."""
    kind = kind_of(data) if isinstance(data, Mapping) else "search"
    if kind not in SPECS:
        return Look(None, (unknown_name("kind", kind, SPECS, "kind"),))
    spec, problems, broken = mended(data, SPECS[kind])
    if spec is None:
        return Look(None, tuple(problems))
    search = SearchAdmission(settings, broken) if isinstance(spec, JobSpec) else None
    if search is not None and isinstance(spec, JobSpec):
        admitted: JobSpec | DesignedSpec | None = search.check(spec)
        found = search.problems
    else:
        admitted, found = _designed(spec, settings, broken)
    problems += [problem for problem in found if not touches(problem.field, broken)]
    return Look(None if problems else admitted, tuple(problems), search)


def _designed(
    spec: BaseModel, settings: Settings, broken: frozenset[str]
) -> tuple[DesignedSpec | None, list[FieldProblem]]:
    """A job that follows a plan, or what is wrong with it."""
    try:
        if isinstance(spec, MixtureSpec):
            return admit_mixture(spec, settings), []
        if isinstance(spec, RefineSpec):
            return admit_refine(spec, settings, broken), []
        assert isinstance(spec, LawSpec), "SPECS has no other kinds"
        return admit_law(spec, settings, broken), []
    except BadInput as error:
        return None, list(error.errors)
