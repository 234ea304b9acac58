"""The kinds of jobs and the model of each one's JobSpec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import Conflict
from service.jobs.law.spec import LawSpec
from service.jobs.mixture.spec import MixtureSpec
from service.jobs.refine.spec import RefineSpec
from service.jobs.search.spec import JobSpec
from service.store.records import Job

DesignedSpec = MixtureSpec | LawSpec | RefineSpec
SPECS: Mapping[str, type[JobSpec] | type[MixtureSpec] | type[LawSpec] | type[RefineSpec]] = {
    "search": JobSpec,
    "mixture": MixtureSpec,
    "law": LawSpec,
    "refine": RefineSpec,
}


def kind_of(spec: Mapping[str, Any]) -> str:
    """The kind of a JobSpec in JSON form; a search unless it says otherwise."""
    return str(spec.get("kind", "search"))


def designed_spec(spec: Mapping[str, Any]) -> DesignedSpec | None:
    """The spec of a job that follows a plan; None for a search."""
    model = SPECS[kind_of(spec)]
    return None if issubclass(model, JobSpec) else model.model_validate(spec)


def search_spec(job: Job) -> JobSpec:
    """The spec of a search. Raises Conflict for jobs of other kinds, which search nothing."""
    kind = kind_of(job.spec)
    if kind != "search":
        raise Conflict(f"job {job.id} is a {kind} job and searches no space; its result is at /v1/jobs/{job.id}/answer")
    return JobSpec.model_validate(job.spec)


def ranked_spec(job: Job) -> JobSpec | RefineSpec:
    """The spec of a job whose trials compete by its objectives. Raises Conflict for jobs of other kinds."""
    return RefineSpec.model_validate(job.spec) if kind_of(job.spec) == "refine" else search_spec(job)
