"""Admits a job of any kind: the shape of its spec here, the world in the module of its kind.

Every problem found is reported at once, those of the shape beside those of the world as far as the two do not depend on
each other; nothing is stored on a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from service.errors import BadInput
from service.jobs.did_you_mean import unknown_name
from service.jobs.kinds import SPECS, kind_of
from service.jobs.law.admission import admit_law
from service.jobs.law.spec import LawSpec
from service.jobs.mending import mended, touches
from service.jobs.mixture.admission import admit_mixture
from service.jobs.mixture.spec import MixtureSpec
from service.jobs.search.admission import admit_search
from service.jobs.search.spec import JobSpec
from service.settings import Settings


def admit(data: Any, settings: Settings) -> JobSpec | MixtureSpec | LawSpec:
    """The JobSpec in `data` (parsed JSON or YAML), its paths absolute. Raises BadInput with every problem found."""
    kind = kind_of(data) if isinstance(data, Mapping) else "search"
    if kind not in SPECS:
        raise BadInput.of([unknown_name("kind", kind, SPECS, "kind")])
    spec, problems, broken = mended(data, SPECS[kind])
    try:
        admitted = None if spec is None else _against_the_world(spec, settings, broken)
    except BadInput as error:
        problems += [problem for problem in error.errors if not touches(problem.field, broken)]
    if problems or admitted is None:
        raise BadInput.of(problems)
    return admitted


def _against_the_world(spec: BaseModel, settings: Settings, broken: frozenset[str]) -> JobSpec | MixtureSpec | LawSpec:
    if isinstance(spec, MixtureSpec):
        return admit_mixture(spec, settings)
    if isinstance(spec, LawSpec):
        return admit_law(spec, settings, broken)
    assert isinstance(spec, JobSpec), "SPECS has no other kinds"
    return admit_search(spec, settings, broken)
