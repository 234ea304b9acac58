"""The seven stages of a job, from its data to what was exported, each with what it has brought forth (row 91 of the
register). Pure: everything follows from what the store knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from search_spaces.listing import combinations
from search_spaces.space import Space
from service.jobs.kinds import kind_of
from service.jobs.refine.spec import RefineSpec
from service.store.exports import Export
from service.store.provenance import Provenance
from service.store.records import Answer, Job, Trial
from service.store.states import JOB_OVER, TRIAL_OVER
from service.store.uses import Refinement

StageName = Literal["data", "base", "space", "search", "confirm", "refine", "export"]
StageState = Literal["done", "running", "ahead", "unfinished", "not asked for"]
ProductKind = Literal[
    "rows", "weights", "space", "steps", "design", "front", "answer", "confirmation", "refine job", "adapter"
]


@dataclass(frozen=True)
class Product:
    """What a stage brought forth: in words, by its `id` (a hash, or of a job or trial) where it has one, and at `path`
    of the API."""

    kind: ProductKind
    text: str
    path: str
    id: str | None = None


@dataclass(frozen=True)
class Stage:
    """Where a job stands in one stage. `unfinished`: the job is over, and this never came to its end. Raises ValueError
    for a stage that is done and has nothing to show."""

    name: StageName
    state: StageState
    products: tuple[Product, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.state == "done" and not self.products:
            raise ValueError(f"{self.name} cannot be done: it has brought nothing forth")


@dataclass(frozen=True)
class Told:
    """All that the stages of a job follow from: what the store knows, and the `space` of a search, None where its model
    is not there any more to build it for."""

    job: Job
    provenance: Sequence[Provenance] = ()
    confirmations: Sequence[Trial] = ()
    answer: Answer | None = None
    refinements: Sequence[Refinement] = ()
    exports: Sequence[Export] = ()
    space: Space | None = None

    @property
    def over(self) -> bool:
        """No trial will run any more."""
        return self.job.state in JOB_OVER

    @property
    def path(self) -> str:
        """Of the job, in the API."""
        return f"/v1/jobs/{self.job.id}"

    @property
    def searched(self) -> list[Provenance]:
        """What is said by trials other than confirmations."""
        return [one for one in self.provenance if not one.confirms]


def stages(told: Told) -> tuple[Stage, ...]:
    """The seven stages, in their order."""
    return (
        _read(told, "data", "rows", lambda one: one.data),
        _read(told, "base", "weights", lambda one: one.base),
        _space(told),
        _search(told),
        _confirm(told),
        _refine(told),
        _export(told),
    )


def _read(
    told: Told, name: Literal["data", "base"], kind: ProductKind, said: Callable[[Provenance], str | None]
) -> Stage:
    """What was read from outside: told by the trials that did. Where these do not tell the same, files have changed
    since the job began, or its trials were to differ (in their rows, or in the number format of the base)."""
    hashes = list(dict.fromkeys(hash for one in told.provenance if (hash := said(one)) is not None))
    products = tuple(Product(kind, f"SHA-256 {hash[:12]}", told.path, hash) for hash in hashes)
    started = _first(one.started_at for one in told.provenance)
    if len(products) > 1:
        note = f"{len(products)} that differ: not all trials read the same {kind}"
    elif told.over and not products:
        note = f"no trial has told which {kind} it read"
    else:
        note = ""
    ahead: StageState = "running" if started is not None else "ahead"
    state: StageState = "done" if products else "unfinished" if told.over else ahead
    return Stage(name, state, products, started, note=note)


def _space(told: Told) -> Stage:
    """Known from the submission on; the trials of a plan are designed while it goes on."""
    job, created = told.job, told.job.created_at
    if kind_of(job.spec) == "search":
        return Stage("space", "done", (Product("space", _size(told.space), told.path),), created, created)
    if kind_of(job.spec) == "refine":
        spec = RefineSpec.model_validate(job.spec)
        steps = ", ".join(spec.label(at) for at in range(len(spec.steps)))
        return Stage("space", "done", (Product("steps", steps, told.path),), created, created)
    trials = sum(job.counts.values())
    designed = (Product("design", f"{trials:,} trials", f"{told.path}/trials"),) if trials else ()
    return Stage("space", "done" if designed else _open(told, begun=False), designed, created)


def _size(space: Space | None) -> str:
    if space is None:
        return "as its spec says"
    count, several = combinations(space), len(space.parameters)
    parameters = f"{several} parameter{'s' if several > 1 else ''}"
    if count is None:
        return f"{parameters}, {sum(one.size is None for one in space.parameters)} of them continuous"
    return f"{parameters}, {'at most ' if space.constraints else ''}{count:,} configurations"


def _search(told: Told) -> Stage:
    """Over with the job, or with the first confirmations that follow it."""
    job = told.job
    left = sum(trial.state not in TRIAL_OVER for trial in told.confirmations)
    under_way = job.counts["queued"] + job.counts["running"] + job.counts["paused"] - left
    over = told.over or (bool(told.confirmations) and under_way == 0)
    products = _found(told)
    done = over and job.state not in {"failed", "cancelled"} and bool(products)
    state: StageState = "done" if done else _open(told, begun=job.started_at is not None)
    finished = _last(one.finished_at for one in told.searched) if over else None
    note = "" if state in {"done", "ahead"} or job.state == "running" else job.reason or job.state
    return Stage("search", state, products, job.started_at, finished, note)


def _found(told: Told) -> tuple[Product, ...]:
    job = told.job
    answer = () if told.answer is None else (Product("answer", told.answer.name, f"{told.path}/answer"),)
    if not job.front_size:
        return answer
    text = f"{job.front_size:,} on the front" if len(job.spec["objectives"]) > 1 else "the best trial"
    return (Product("front", text, f"{told.path}/pareto"), *answer)


def _confirm(told: Told) -> Stage:
    again = told.confirmations
    if not told.job.spec.get("confirm"):
        return Stage("confirm", "not asked for")
    done = sum(trial.state in TRIAL_OVER for trial in again)
    text = f"{done:,} of {len(again):,} trainings"
    products = (Product("confirmation", text, f"{told.path}/confirmation"),) if done else ()
    ended = bool(products) and done == len(again)
    state: StageState = "done" if ended else _open(told, begun=bool(again))
    started = _first(trial.started_at for trial in again)
    finished = _last(trial.finished_at for trial in again) if ended else None
    return Stage("confirm", state, products, started, finished)


def _refine(told: Told) -> Stage:
    """Jobs of their own, which go on after this one is over."""
    jobs = told.refinements
    if not jobs:
        return Stage("refine", "not asked for")
    products = tuple(
        Product("refine job", f"{one.name}: {one.state}", f"/v1/jobs/{one.job_id}", one.job_id) for one in jobs
    )
    states = {one.state for one in jobs}
    under_way = not states <= JOB_OVER
    state: StageState = "running" if under_way else "done" if "completed" in states else "unfinished"
    finished = None if under_way else _last(one.finished_at for one in jobs)
    return Stage("refine", state, products, _first(one.created_at for one in jobs), finished)


def _export(told: Told) -> Stage:
    """Adapters that were downloaded."""
    if not told.exports:
        return Stage("export", "not asked for")
    products = tuple(
        Product(
            "adapter", f"trial {one.trial_id.rpartition('-')[2]}", f"/v1/trials/{one.trial_id}/adapter", one.adapter
        )
        for one in told.exports
    )
    started = _first(one.first_at for one in told.exports)
    return Stage("export", "done", products, started, _last(one.last_at for one in told.exports))


def _open(told: Told, begun: bool) -> StageState:
    """Of a stage that is not done."""
    return "unfinished" if told.over else "running" if begun else "ahead"


def _first(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _last(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)
