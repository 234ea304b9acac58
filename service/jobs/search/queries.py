"""The question "which hyperparameters should I use?", answered from the measured trials of one job."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import BadInput, NotFound
from service.jobs.kinds import ranked_spec
from service.jobs.refine.spec import RefineSpec
from service.jobs.search.problem import stored_space
from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from service.store.store import Store
from service.store.trials import Bound
from workers.tasks.registry import METRICS

RECENT = 400
"""Trials that are looked at for names of hyperparameters."""
FIRST_LOOK, AT_ONCE = 1000, 200
"""Trials that are looked at first for clauses on hyperparameters, and that are read at a time."""

_CLAUSE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(<=|>=|==|!=|<|>|=)\s*(.+?)\s*")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
}
_EQUALITIES = frozenset({"==", "=", "!="})
_FORM = "NAME OP VALUE, such as `trainable_params<=20000`, with OP one of <=, >=, <, >, ==, !="


@dataclass(frozen=True)
class Clause:
    """A condition on a metric or on a key of the configuration."""

    name: str
    comparison: str
    value: float | str | bool

    def holds(self, trial: Trial) -> bool:
        """Whether the trial has the name and its value compares as asked."""
        found = trial.metrics.get(self.name, trial.config.get(self.name))
        if found is None:
            return False
        if self.comparison in _EQUALITIES:
            return _COMPARISONS[self.comparison](found, self.value)
        comparable = isinstance(found, int | float) and isinstance(self.value, int | float)
        return comparable and _COMPARISONS[self.comparison](found, self.value)

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.value}"


@dataclass(frozen=True)
class Answer:
    """The best trial by `metric`, and what it reached on the job's objectives."""

    metric: str
    trial: Trial
    objectives: dict[str, float]


def parse_clause(text: str) -> Clause:
    """Read `trainable_params<=20000` or `targets==qv`. Raises BadInput."""
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise BadInput("where", text, _FORM, f"found {text!r}; a clause has the form {_FORM}")
    name, comparison, written = match.groups()
    value = _value(written)
    if comparison not in _EQUALITIES and (isinstance(value, str | bool)):
        raise BadInput("where", text, _FORM, f"found {written!r} in {text!r}; {comparison} compares with a number")
    return Clause(name, comparison, value)


def best(store: Store, job_id: str, maximize: str | None, minimize: str | None, where: Sequence[str]) -> Answer:
    """The best completed trial by one metric (the first objective when none is named) among those that satisfy every
    clause and the job's own constraints; ties go to whoever is better on the other objectives, then to the earlier.

    Raises:
        BadInput: both directions are given, a clause cannot be read, or a name is neither a metric nor a
            hyperparameter of the job.
        NotFound: no completed trial satisfies the clauses.
    """
    spec = ranked_spec(store.get_job(job_id))
    metric, sign = _ranking(spec, maximize, minimize)
    clauses = [parse_clause(text) for text in where]
    _check_names(store, job_id, metric, clauses)
    signs = {one.metric: -1.0 if one.direction == "maximize" else 1.0 for one in spec.objectives}
    order = [(metric, sign), *((name, one) for name, one in signs.items() if name != metric)]
    # What is best by an objective is on the front, no need to look at the others: unless a clause keeps it out, and
    # one that asks for less of what is minimized keeps nobody out who beats a trial that it lets in.
    on_front = signs.get(metric) == sign and all(_towards_front(clause, signs) for clause in clauses)
    found = _first(store, job_id, order, clauses, front_only=True) if on_front else None
    clauses += _constraints(spec)
    found = found or _first(store, job_id, order, clauses, front_only=False)
    if found is None:
        raise NotFound("completed trial that satisfies", " and ".join(map(str, clauses)) or f"a measured {metric}")
    return Answer(metric, found, {name: found.metrics[name] for name in signs if name in found.metrics})


def _towards_front(clause: Clause, signs: Mapping[str, float]) -> bool:
    """Whether whoever beats a trial that the clause lets in is let in, too."""
    better = {1.0: ("<", "<="), -1.0: (">", ">=")}
    return clause.comparison in better.get(signs.get(clause.name, 0.0), ())


def _first(
    store: Store, job_id: str, order: Sequence[tuple[str, float]], clauses: Sequence[Clause], front_only: bool
) -> Trial | None:
    """The first trial in this order that satisfies every clause. The database compares metrics; what is left, on
    hyperparameters, is looked at here."""
    bounds = [
        Bound(clause.name, "==" if clause.comparison == "=" else clause.comparison, clause.value)
        for clause in clauses
        if clause.name in METRICS and isinstance(clause.value, int | float)
    ]
    compared = len(bounds) == len(clauses)
    for skip, limit in ((0, 1),) if compared else ((0, FIRST_LOOK), (FIRST_LOOK, None)):
        ids = store.ranked(job_id, order, bounds, front_only, limit)[skip:]
        for start in range(0, len(ids), AT_ONCE):
            for trial in store.trials_by_id(ids[start : start + AT_ONCE]):
                if all(clause.holds(trial) for clause in clauses):
                    return trial
    return None


def _ranking(spec: JobSpec | RefineSpec, maximize: str | None, minimize: str | None) -> tuple[str, float]:
    """(metric, -1 to maximize or 1 to minimize)."""
    if maximize is not None and minimize is not None:
        raise BadInput("minimize", minimize, "one of `maximize` and `minimize`, not both")
    if maximize is not None:
        return maximize, -1.0
    if minimize is not None:
        return minimize, 1.0
    first = spec.objectives[0]
    return first.metric, -1.0 if first.direction == "maximize" else 1.0


def _constraints(spec: JobSpec | RefineSpec) -> list[Clause]:
    lower = [Clause(one.metric, ">=", one.min) for one in spec.constraints if one.min is not None]
    return lower + [Clause(one.metric, "<=", one.max) for one in spec.constraints if one.max is not None]


def _check_names(store: Store, job_id: str, metric: str, clauses: Sequence[Clause]) -> None:
    strangers = {metric, *(clause.name for clause in clauses)} - set(METRICS)
    if not strangers:
        return
    recent = store.newest_completed(job_id, RECENT)
    metrics = {*METRICS, *(name for trial in recent for name in trial.metrics)}
    if metric not in metrics:
        raise BadInput("maximize", metric, f"a metric: {', '.join(sorted(metrics))}")
    names = metrics | {name for trial in recent for name in trial.config}
    for clause in clauses:
        if recent and clause.name not in names and not _named_earlier(store, job_id, clause.name):
            raise BadInput("where", clause.name, f"a metric or a hyperparameter: {', '.join(sorted(names))}")


def _named_earlier(store: Store, job_id: str, name: str) -> bool:
    """Whether a parameter of the job's space has the name, though no recent trial chose it."""
    spec = ranked_spec(store.get_job(job_id))
    return isinstance(spec, JobSpec) and any(one.name == name for one in stored_space(spec).parameters)


def _value(written: str) -> float | str | bool:
    if written.casefold() in {"true", "false"}:
        return written.casefold() == "true"
    try:
        number = float(written.replace("_", ""))
    except ValueError:
        number = math.inf
    return number if math.isfinite(number) else written.strip("'\"")  # nothing is compared with `nan` or `1e999`
