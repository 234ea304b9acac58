"""What a worker is given to train: a job's spec and a claimed trial in one value, for Ray's and outside workers."""

from __future__ import annotations

from service.jobs.kinds import designed_spec
from service.jobs.law.plan import LawPlan
from service.jobs.law.spec import LawSpec
from service.jobs.search.scheduling import awaits_decision, pause_every, report_at
from service.jobs.search.spec import JobSpec
from service.store.records import Job, Trial
from workers.assignment import Artifact, Assignment
from workers.programs.assignment import MEASURED_HERE, ProgramAssignment
from workers.programs.section import ProgramSpec
from workers.tasks.section import TaskSection


def assignment_for(job: Job, trial: Trial) -> Assignment:
    """The assignment that an outside worker gets for a claimed trial of a search or of a law's grid."""
    spec = designed_spec(job.spec)
    if isinstance(spec, LawSpec):
        return LawPlan(spec).assignment(trial)
    return assignment_of(JobSpec.model_validate(job.spec), trial)


def work_of(spec: JobSpec, trial: Trial) -> Assignment | ProgramAssignment:
    """What a worker of ours is given of a claimed trial."""
    return assignment_of(spec, trial) if isinstance(spec.task, TaskSection) else program_assignment(spec, trial)


def program_assignment(spec: JobSpec, trial: Trial) -> ProgramAssignment:
    """What a worker is given of a trial that is a program."""
    assert isinstance(spec.task, ProgramSpec)
    return ProgramAssignment(
        trial_id=trial.id,
        attempt=trial.attempt,
        task=spec.task,
        config=trial.config,
        epochs=spec.budget.epochs,
        seed=trial.seed,
        needed=tuple(one.metric for one in spec.objectives if one.metric not in MEASURED_HERE),
        checkpoint=_checkpoint(trial),
        pause_every=pause_every(spec, trial),
        awaits_decision=awaits_decision(spec, trial),
    )


def _judged_goals(spec: JobSpec) -> tuple[str, ...]:
    """The job's own metrics that it optimizes or guards."""
    goals = {one.metric for one in spec.objectives} | {one.metric for one in spec.constraints}
    return tuple(metric.name for metric in spec.task.judged_metrics() if metric.name in goals)


def _checkpoint(trial: Trial) -> Artifact | None:
    if trial.checkpoint is None:
        return None
    return Artifact(sha256=trial.checkpoint, size=trial.checkpoint_bytes or 0)


def assignment_of(spec: JobSpec, trial: Trial) -> Assignment:
    """The assignment of a trial as it was claimed (its `attempt` is the fencing number)."""
    assert isinstance(spec.task, TaskSection)
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
        checkpoint=_checkpoint(trial),
        pause_every=pause_every(spec, trial),
        report_at=report_at(spec, trial),
        awaits_decision=awaits_decision(spec, trial),
        needed=_judged_goals(spec),
        **spec.resources.whole(),
    )
