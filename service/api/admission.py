"""Admits a job of any kind: the shape of its spec here, the world in the module of its kind.

Every problem found is reported at once; nothing is stored on a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.api.law_admission import admit_law
from service.api.mixture_admission import admit_mixture
from service.api.search_admission import admit_search
from service.api.spec_problems import spec_problems
from service.api.suggestions import unknown_name
from service.errors import BadInput
from service.jobspec import JobSpec
from service.jobspecs.kinds import SPECS, kind_of
from service.jobspecs.law import LawSpec
from service.jobspecs.mixture import MixtureSpec
from service.settings import Settings


def admit(data: Any, settings: Settings) -> JobSpec | MixtureSpec | LawSpec:
    """The JobSpec in `data` (parsed JSON or YAML), its paths absolute. Raises BadInput with every problem found."""
    kind = kind_of(data) if isinstance(data, Mapping) else "search"
    if kind not in SPECS:
        raise BadInput.of([unknown_name("kind", kind, SPECS, "kind")])
    try:
        spec = SPECS[kind].model_validate(data)
    except ValidationError as error:
        raise BadInput.of(spec_problems(error, SPECS[kind])) from None
    if isinstance(spec, MixtureSpec):
        return admit_mixture(spec, settings)
    if isinstance(spec, LawSpec):
        return admit_law(spec, settings)
    return admit_search(spec, settings)
