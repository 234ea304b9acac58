"""What a worker is given to train: a job's spec and a claimed trial in one value, for Ray's and outside workers."""

from __future__ import annotations

from service.jobs.kinds import designed_spec
from service.jobs.law.plan import LawPlan
from service.jobs.law.spec import LawSpec
from service.jobs.search.scheduling import awaits_decision, pause_every, report_at
from service.jobs.search.spec import JobSpec
from service.store.records import Job, Trial
from workers.assignment import Artifact, Assignment


def assignment_for(job: Job, trial: Trial) -> Assignment:
    """The assignment that an outside worker gets for a claimed trial of a search or of a law's grid."""
    spec = designed_spec(job.spec)
    if isinstance(spec, LawSpec):
        return LawPlan(spec).assignment(trial)
    return assignment_of(JobSpec.model_validate(job.spec), trial)


def assignment_of(spec: JobSpec, trial: Trial) -> Assignment:
    """The assignment of a trial as it was claimed (its `attempt` is the fencing number)."""
    checkpoint = None
    if trial.checkpoint is not None:
        checkpoint = Artifact(sha256=trial.checkpoint, size=trial.checkpoint_bytes or 0)
    return Assignment(
        trial_id=trial.id,
        attempt=trial.attempt,
        task=spec.task,
        config=trial.config,
        epochs=spec.budget.epochs,
        seed=trial.seed,
        data_seed=spec.seed,
        measure_latency=spec.resources.shards == 1,  # of a base in parts, exchange would be most of it
        evaluate_on="test" if trial.confirms is not None else "validation",
        checkpoint=checkpoint,
        pause_every=pause_every(spec, trial),
        report_at=report_at(spec, trial),
        awaits_decision=awaits_decision(spec, trial),
        **spec.resources.whole(),
    )
