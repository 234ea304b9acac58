"""A job file looked at before it is submitted: every problem, its data, what its trials will cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic import Field

from service.api.data_preview import SplitView, preview
from service.api.dependencies import SUBMIT, Caller, CallerDep, SettingsDep, StoreDep
from service.api.responses import answer
from service.api.spec_reading import SPEC_BODY, read_body
from service.api.trial_costs import CostView, costs_of
from service.api.views import View
from service.errors import BadInput, FieldProblem
from service.jobs.admission import Look, look
from service.jobs.refine.sources import with_sources
from service.jobs.search.memory import TrialMemory
from service.jobs.search.spec import JobSpec
from service.jobs.uploads import with_uploads
from service.settings import Settings
from service.store.store import Store

MEBIBYTE = 1 << 20
router = APIRouter(tags=["jobs"], dependencies=[SUBMIT])


class ProblemView(View):
    """What is wrong with one field: what was found in it, and what would do."""

    field: str
    found: Any
    allowed: str
    message: str

    @classmethod
    def of(cls, problem: FieldProblem) -> ProblemView:
        """The public form of a problem."""
        return cls(field=problem.field, found=problem.found, allowed=problem.allowed, message=problem.reason)


class MemoryView(View):
    """What a trial will take in its process, MiB, by the sizes of its model's parts: within about a factor of two."""

    base_mb: float = Field(description="the frozen model, or this process's part of it")
    training_mb_low: float = Field(description="what training adds to it, in the least hungry configuration")
    training_mb_high: float = Field(description="in the most hungry one, of many drawn from the space")
    whole_mb_high: float = Field(description="with a chunk of logits, at the worst moment")
    limit_mb: float | None = Field(description="memory of this machine, where trials train on its cores")

    @classmethod
    def of(cls, found: TrialMemory) -> MemoryView:
        """The public form."""
        most = found.most
        return cls(
            base_mb=most.base / MEBIBYTE,
            training_mb_low=found.least.training / MEBIBYTE,
            training_mb_high=most.training / MEBIBYTE,
            whole_mb_high=most.whole / MEBIBYTE,
            limit_mb=None if found.limit is None else found.limit / MEBIBYTE,
        )


class CheckView(View):
    """What submitting the file would say. Nothing is stored."""

    problems: list[ProblemView] = Field(description="empty: the job would be taken")
    splits: list[SplitView] = Field(description="the data of a search, as far as it can be read")
    cost: CostView | None = Field(description="of a search, where trials of its model have run")
    memory: MemoryView | None = Field(default=None, description="of a search's trials, by their configurations")


@router.post("/checks", response_model=CheckView, openapi_extra=SPEC_BODY)
async def check_job(request: Request, store: StoreDep, settings: SettingsDep, caller: CallerDep) -> Response:
    """Check a JobSpec as submitting does, without submitting it. What is wrong is in the answer, which is a 200."""
    try:
        body = await read_body(request)
    except BadInput as error:
        return answer(CheckView(problems=[ProblemView.of(one) for one in error.errors], splits=[], cost=None))
    return answer(await to_thread.run_sync(_check, body, store, settings, caller))


def _check(body: Any, store: Store, settings: Settings, caller: Caller) -> CheckView:
    unsound: list[FieldProblem] = []
    try:
        body = with_sources(body, store, caller.sees)
    except BadInput as error:
        unsound = list(error.errors)
    seen = look(body, with_uploads(settings, caller.project))
    if unsound:  # the rest is checked as well, but for the task that a sound source would have given
        seen = replace(seen, problems=(*unsound, *(one for one in seen.problems if one.field != "task")))
    read = seen.search
    splits = (
        [] if read is None or read.data is None else preview(read.data, read.parts, read.tokenizer, read.max_length)
    )
    memory = None if read is None or read.memory is None else MemoryView.of(read.memory)
    problems = [ProblemView.of(one) for one in seen.problems]
    return CheckView(problems=problems, splits=splits, cost=_cost(seen, store, caller), memory=memory)


def _cost(seen: Look, store: Store, caller: Caller) -> CostView | None:
    if not isinstance(seen.spec, JobSpec) or seen.search is None or seen.search.data is None:
        return None
    return costs_of(seen.spec, len(seen.search.data.train), store, caller.sees)
