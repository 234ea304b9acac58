"""For every chart of the dashboard a page that shows it, with what it has to show."""

from __future__ import annotations

from collections.abc import Callable

from service.store.records import Resumption
from tests.web.made_jobs import STUDIED, mixture_job, study
from tests.web.search import SPEC, Search


def searched(beside: Search) -> Search:
    """Seventeen trials of one method over its rank and its learning rate."""
    job = Search(beside.store, beside.artifacts, beside.folder, space=STUDIED)
    beside.start()  # a conductor takes the oldest job first
    study(job)
    return job


def _tab(name: str) -> Callable[[Search], str]:
    return lambda search: f"/#/jobs/{searched(search).job.id}?tab={name}"


def _methods(search: Search) -> str:
    search.begin()
    for rank in (2, 4, 16, 32):
        search.complete(search.lora(rank), 0.6 + rank / 200, 9_216 * rank)
    return f"/#/jobs/{search.job.id}?tab=methods"


def _box(search: Search) -> str:
    three = [*SPEC["objectives"], {"metric": "latency_ms", "direction": "minimize"}]
    job = Search(search.store, search.artifacts, search.folder, name="three", objectives=three)
    search.start()
    job.begin()
    for rank in (4, 16, 64):
        job.complete(job.lora(rank), 0.6 + rank / 200, 9_216 * rank)
    return f"/#/jobs/{job.job.id}"


def _population(search: Search) -> str:
    """Trial 2 has gone on from the weights of trial 3."""
    job = Search(search.store, search.artifacts, search.folder, name="population", scheduler={"name": "pbt"})
    search.start()
    job.begin()
    weak, strong = (job.pause(job.lora(rank), f"{rank}") for rank in (4, 8))
    config = {**strong.config, "learning_rate": 6e-4}
    search.store.resume_trials(job.job.id, [Resumption(weak.id, 1, strong.id, config)])
    return f"/#/jobs/{job.job.id}?tab=lineage"


def _mixtures(search: Search) -> str:
    search.start()
    return f"/#/jobs/{mixture_job(search).job.id}?tab=answer"


def _trial(search: Search) -> str:
    return f"/#/jobs/{searched(search).job.id}?trial=5"


def _law(search: Search) -> str:  # noqa: ARG001 - laws rest on no job
    return "/#/ask?tab=laws&law=step-law"


def _compared(search: Search) -> str:
    job = searched(search)
    other = Search(search.store, search.artifacts, search.folder, name="other")
    other.begin()
    other.complete(other.lora(4), 0.7, 36_864)
    return f"/#/compare?jobs={job.job.id},{other.job.id}"


ADDRESSES: dict[str, Callable[[Search], str]] = {
    "front": _tab("trials"),
    "front in a box": _box,
    "progress": _tab("trials"),
    "curves": _tab("curves"),
    "parallel": _tab("parallel"),
    "methods": _methods,
    "lineage": _population,
    "schedule": _population,
    "slice": _tab("insights"),
    "contour": _tab("insights"),
    "mixtures": _mixtures,
    "learning curve": _trial,
    "law": _law,
    "compared fronts": _compared,
    "compared progress": _compared,
    "compared curves": _compared,
}
"""Makes the jobs beside the one given, and says which address shows the chart."""
