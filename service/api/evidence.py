"""What answers about a job's space rest on: its newest completed trials, and a model of one of their metrics."""

from __future__ import annotations

from optimizers.problem import Problem
from predictors.insights import MOST_TRIALS, MetricModel, fit_metric
from service.errors import BadInput
from service.jobs.kinds import search_spec
from service.jobs.search.problem import stored_problem
from service.store.records import Trial
from service.store.store import Store


def evidence(store: Store, job_id: str) -> tuple[Problem, list[Trial]]:
    """The job's problem and its newest completed trials, oldest first. Some may lie outside a space that was changed
    meanwhile; more are read than a fit takes.
    Raises BadInput where the space cannot be built any more."""
    problem = stored_problem(search_spec(store.get_job(job_id)))
    return problem, list(store.newest_completed(job_id, 2 * MOST_TRIALS))


def metric_model(problem: Problem, trials: list[Trial], metric: str, level: float) -> MetricModel:
    """A model of `metric`. Raises BadInput for a metric that no trial measured, OutOfDomain for too few trials."""
    measured = {name for trial in trials for name in trial.metrics}
    if trials and metric not in measured:
        raise BadInput("metric", metric, f"a metric that was measured: {', '.join(sorted(measured))}")
    pairs = [(trial.config, trial.metrics[metric]) for trial in trials if metric in trial.metrics]
    return fit_metric(problem.space, pairs, metric, level)
