"""A job's trials for other tools: a table (CSV, Parquet) or a study in an Optuna storage."""

from __future__ import annotations

import csv
import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.errors import MissingExtra
from peftsearch.results import Objective, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_STATES = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}
"""Optuna's names for how trials ended; it cannot hold open ones of another program."""

LOGARITHMIC = 50.0
"""Positive values that span more than this factor are drawn on a logarithmic axis."""


def write_csv(trials: Iterable[Trial], file: Path) -> int:
    """One row a trial, columns such as `config.rank` and `metrics.accuracy`; how many rows there are."""
    rows, columns = _table(trials)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def write_parquet(trials: Iterable[Trial], file: Path) -> int:
    """The same as Parquet. Raises MissingExtra without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("Parquet", "pyarrow") from None
    rows, columns = _table(trials)
    table = {name: _of_one_type([row.get(name) for row in rows]) for name in columns}
    parquet.write_table(pyarrow.table(table), file)
    return len(rows)


def write_study(
    name: str, objectives: Sequence[Objective], trials: Iterable[Trial], storage: str, study: str | None = None
) -> int:
    """Make a study (default: `name`) in an Optuna storage of the trials that are over; how many there are.

    Values are the objectives, in their order; metrics, label and id are user attributes. Raises MissingExtra without
    optuna, FileExistsError when the storage has a study of that name.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtra("an Optuna storage", "optuna") from None
    over = [trial for trial in trials if trial.state in _STATES]
    spaces = _distributions(over)
    directions = [optuna.study.StudyDirection[objective.direction.upper()] for objective in objectives]
    try:
        made = optuna.create_study(storage=storage, study_name=study or name, directions=directions)
    except optuna.exceptions.DuplicatedStudyError:
        raise FileExistsError(f"{storage} has a study {study or name!r} already; choose another name") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made.set_metric_names([objective.metric for objective in objectives])
    made.add_trials([_frozen(trial, objectives, spaces) for trial in over])
    return len(over)


def _table(trials: Iterable[Trial]) -> tuple[list[dict[str, Any]], list[str]]:
    rows = [{name: _scalar(value) for name, value in trial.to_row().items()} for trial in trials]
    return rows, list(dict.fromkeys(name for row in rows for name in row))


def _of_one_type(values: Sequence[Any]) -> Sequence[Any]:
    """A column: whole numbers beside others become floats, anything else of several types becomes text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    return values if len(kinds) < 2 else [None if value is None else str(value) for value in values]


def _scalar(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _distributions(trials: Sequence[Trial]) -> Mapping[str, BaseDistribution]:
    """What each parameter ranges over, as far as the trials tell: Optuna wants one range for all of them."""
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in trial.config.items():
            values.setdefault(name, []).append(_scalar(value))
    return {name: _distribution(found) for name, found in values.items()}


def _distribution(values: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return CategoricalDistribution(sorted(set(values), key=str))
    low, high = min(values), max(values)
    logarithmic = low > 0 and high > LOGARITHMIC * low
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=logarithmic)
    return FloatDistribution(float(low), float(high), log=logarithmic)


def _frozen(trial: Trial, objectives: Sequence[Objective], spaces: Mapping[str, BaseDistribution]) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    measured = [trial.metrics.get(objective.metric, math.nan) for objective in objectives]
    complete = trial.state == "completed" and all(map(math.isfinite, measured))
    state = TrialState[_STATES[trial.state] if complete or trial.state != "completed" else "FAIL"]
    params = {
        name: float(value) if type(spaces[name]).__name__ == "FloatDistribution" else _scalar(value)
        for name, value in trial.config.items()
    }
    told = {"trial": trial.id, "origin": trial.origin, "label": trial.label, "reason": trial.reason, "seed": trial.seed}
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=state,
        value=None,
        values=measured if complete else None,
        datetime_start=_local(trial.started_at or trial.created_at),
        datetime_complete=_local(trial.finished_at or trial.created_at),
        params=params,
        distributions={name: spaces[name] for name in params},
        user_attrs={name: value for name, value in told.items() if value is not None} | dict(trial.metrics),
        system_attrs={},
        intermediate_values={},
    )


def _local(time: Any) -> Any:
    """Optuna keeps times without a zone, in that of the machine."""
    return time.astimezone().replace(tzinfo=None)
