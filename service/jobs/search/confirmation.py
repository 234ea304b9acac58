"""The report on a confirmed search: what each configuration reached again, and what is left of its gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from optimizers.problem import Problem
from predictors.answer import OutOfDomain
from predictors.confirmation import gain_interval, mean_interval, promise, survived
from predictors.insights import Estimate, MetricModel, fit_metric
from service.store.records import Trial
from service.store.states import TRIAL_OVER
from workers.tasks.registry import METRICS

SHARES = frozenset({"accuracy", "f1_macro"})
"""Metrics that are, or behave like, a share of rows."""

Standing = Literal["waiting", "running", "done"]


@dataclass(frozen=True)
class Gain:
    """By how much a configuration is better than the best reference trial, as searched and as confirmed."""

    reference: str
    searched: float
    confirmed: Estimate
    survived: float | None


@dataclass(frozen=True)
class Confirmed:
    """One metric of a configuration: as the search measured it, as promised, and over fresh seeds on unseen rows.

    `searched` is None of a metric that confirmations alone measure: nothing was promised of it.
    """

    metric: str
    searched: float | None
    confirmed: Estimate | None
    seeds: int
    promised: Estimate | None
    kept: bool | None
    gain: Gain | None


@dataclass(frozen=True)
class Item:
    """A configuration of the front, or a reference, with its objectives and what confirmations measure besides."""

    trial: Trial
    objectives: tuple[Confirmed, ...]
    failed: int


@dataclass(frozen=True)
class Confirmation:
    """The whole report. The search made `promised` promises; `kept` of the `promises` that can be judged so far, by a
    mean over seeds, were true."""

    standing: Standing
    items: tuple[Item, ...]
    promised: int
    kept: int
    promises: int


def confirmation(
    problem: Problem,
    searched: Sequence[Trial],
    repeats: Sequence[Trial],
    level: float = 0.9,
    further: Sequence[str] = (),
) -> Confirmation:
    """Build the report from the trials of the search and their confirmations, whether or not all of these are there.

    `further` are metrics that confirmations alone measure.
    """
    by_trial: dict[str, list[Trial]] = {}
    for trial in repeats:
        by_trial.setdefault(str(trial.confirms), []).append(trial)
    report = _Report(problem, searched, by_trial, level, further)
    items = tuple(report.item(trial) for trial in searched if trial.id in by_trial)
    told = [one for item in items for one in item.objectives if one.kept is not None]
    promised = sum(one.promised is not None for item in items for one in item.objectives)
    return Confirmation(_standing(repeats), items, promised, sum(bool(one.kept) for one in told), len(told))


def _standing(repeats: Sequence[Trial]) -> Standing:
    if not repeats:
        return "waiting"
    return "done" if all(trial.state in TRIAL_OVER for trial in repeats) else "running"


def _is_quality(metric: str) -> bool:
    """Whether it depends on the rows that it is measured on, as metrics of a job's own do, too."""
    return metric not in METRICS or METRICS[metric].kind == "quality"


class _Report:
    """What the items of one report share: the models of the search and the references to beat."""

    def __init__(
        self,
        problem: Problem,
        searched: Sequence[Trial],
        repeats: Mapping[str, Sequence[Trial]],
        level: float,
        further: Sequence[str],
    ) -> None:
        self._problem, self._repeats, self._level, self._further = problem, repeats, level, further
        completed = [trial for trial in searched if trial.state == "completed"]
        self._references = [trial for trial in completed if trial.origin == "reference"]
        self._models = {one.metric: self._model(one.metric, completed) for one in problem.objectives}

    def item(self, trial: Trial) -> Item:
        objectives = tuple(
            self._objective(trial, one.metric, 1.0 if one.direction == "maximize" else -1.0)
            for one in self._problem.objectives
            if one.metric in trial.metrics
        )
        later = tuple(self._later(trial, metric) for metric in self._further)
        return Item(trial, (*objectives, *later), sum(again.state == "failed" for again in self._repeats[trial.id]))

    def _objective(self, trial: Trial, metric: str, sign: float) -> Confirmed:
        values = self._values(trial, metric)
        confirmed = self._mean(values)
        promised = self._promise(trial, metric)
        kept = None if promised is None or confirmed is None else promised.low <= confirmed.value <= promised.high
        gain = self._gain(trial, metric, sign, values)
        return Confirmed(metric, trial.metrics[metric], confirmed, len(values), promised, kept, gain)

    def _later(self, trial: Trial, metric: str) -> Confirmed:
        """A metric that the search has not measured."""
        values = self._values(trial, metric)
        confirmed = self._mean(values)
        return Confirmed(metric, None, confirmed, len(values), None, None, None)

    def _values(self, trial: Trial, metric: str) -> dict[int, float]:
        """What the confirmations measured, by seed."""
        done = (again for again in self._repeats.get(trial.id, ()) if again.state == "completed")
        return {again.seed: again.metrics[metric] for again in done if metric in again.metrics}

    def _mean(self, values: Mapping[int, float]) -> Estimate | None:
        """Over the seeds; None of fewer than two."""
        return mean_interval(list(values.values()), self._level) if len(values) > 1 else None

    def _model(self, metric: str, completed: Sequence[Trial]) -> MetricModel | None:
        """A model of quality metrics only: costs are the same on any rows."""
        if not _is_quality(metric):
            return None
        pairs = [(trial.config, trial.metrics[metric]) for trial in completed if metric in trial.metrics]
        try:
            return fit_metric(self._problem.space, pairs, metric, self._level)
        except OutOfDomain:  # too few trials, or all alike: then nothing was promised
            return None

    def _promise(self, trial: Trial, metric: str) -> Estimate | None:
        model = self._models[metric]
        if model is None or not self._problem.space.contains(trial.config):
            return None
        return promise(model, trial.config, metric in SHARES, self._rows(trial))

    def _rows(self, trial: Trial) -> tuple[int, int] | None:
        """Rows that the trial and its confirmations were measured on."""
        told = [one.evaluated_rows for one in (trial, *self._repeats[trial.id])]
        known = [rows for rows in told if rows is not None]
        return (known[0], known[-1]) if len(known) > 1 else None

    def _gain(self, trial: Trial, metric: str, sign: float, values: Mapping[int, float]) -> Gain | None:
        rivals = [one for one in self._references if metric in one.metrics and one.id != trial.id]
        if not _is_quality(metric) or not rivals or trial.origin == "reference":
            return None
        best = max(rivals, key=lambda one: sign * one.metrics[metric])
        theirs = self._values(best, metric)
        if len(values.keys() & theirs.keys()) < 2:
            return None
        searched = sign * (trial.metrics[metric] - best.metrics[metric])
        confirmed = gain_interval(values, theirs, sign, self._level)
        return Gain(best.id, searched, confirmed, survived(searched, confirmed.value))
