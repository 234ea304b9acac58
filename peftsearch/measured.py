"""Trials that were measured elsewhere, read from a table or an Optuna study for `Client.add_trials`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from peftsearch.errors import MissingExtra
from peftsearch.results import Objective

_CONFIG, _METRICS = "config.", "metrics."
_OVER = frozenset({"completed", "complete", "finished"})


@dataclass(frozen=True)
class Naming:
    """`names` maps a source's names to the job's (to "": left out); `constants` are values that all trials had."""

    names: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    def trial(self, config: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
        """A trial as the API takes it."""
        named = {self.names.get(name, name): value for name, value in config.items() if value is not None}
        named.pop("", None)
        return {"config": {**self.constants, **named}, "metrics": dict(metrics)}


def from_rows(
    rows: Iterable[Mapping[str, Any]], objectives: Sequence[Objective], naming: Naming
) -> list[dict[str, Any]]:
    """The rows of a table that are over and have all values. Where columns are called `config.…` and `metrics.…`, as
    `export-study` calls them, only these count; otherwise those of the objectives are metrics, the others parameters.
    """
    wanted = {objective.metric for objective in objectives}
    found = []
    for row in rows:
        if str(row.get("state", "completed")).lower() not in _OVER:
            continue
        cells = {name: cell for name, cell in row.items() if cell != ""}
        told = any(name.startswith(_CONFIG) for name in row)
        if told:
            config = {name.removeprefix(_CONFIG): cell for name, cell in cells.items() if name.startswith(_CONFIG)}
            metrics = {name.removeprefix(_METRICS): cell for name, cell in cells.items() if name.startswith(_METRICS)}
        else:
            metrics = {naming.names.get(name, name): cell for name, cell in cells.items()}
            metrics = {name: cell for name, cell in metrics.items() if name in wanted}
            config = {name: cell for name, cell in cells.items() if naming.names.get(name, name) not in wanted}
            config.pop("state", None)
        found.append(naming.trial(config, metrics))
    return found


def from_study(
    storage: str, study: str | None, objectives: Sequence[Objective], naming: Naming
) -> list[dict[str, Any]]:
    """The completed trials of a study (default: the only one). Its values are the job's objectives: by the study's
    metric names where it has them, else in order. Raises MissingExtra, and ValueError for a study that does not fit.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtra("an Optuna storage", "optuna") from None
    there = optuna.get_all_study_names(storage)
    if study is None and len(there) == 1:
        study = there[0]
    if study is None or study not in there:
        raise ValueError(
            f"study: found {study!r}; allowed: one of {', '.join(map(repr, there)) or 'none, it is empty'}"
        )
    loaded = optuna.load_study(study_name=study, storage=storage)
    names = loaded.metric_names or [objective.metric for objective in objectives]
    if len(names) != len(loaded.directions):
        count = len(loaded.directions)
        raise ValueError(
            f"study: {study!r} has {count} values, the job {len(names)} objectives, and nothing names them"
        )
    return [
        naming.trial(trial.params, {naming.names.get(n, n): v for n, v in zip(names, trial.values, strict=True)})
        for trial in loaded.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    ]
