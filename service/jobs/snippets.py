"""What a user pastes to have a trial's model, by the kind of its job."""

from __future__ import annotations

from service.jobs.kinds import ranked_spec
from service.jobs.refine.snippets import refined_snippet
from service.jobs.refine.spec import RefineSpec
from service.jobs.search.lineage import past_of
from service.jobs.search.snippets import snippet
from service.store.records import Trial
from service.store.store import Store


def snippet_of(store: Store, trial: Trial) -> str:
    """Code that trains a searched trial again, or loads a refined one. Raises Conflict for jobs of other kinds."""
    spec = ranked_spec(store.get_job(trial.job_id))
    if isinstance(spec, RefineSpec):
        return refined_snippet(spec, trial)
    return snippet(spec, trial, past_of(store, trial)[1])
