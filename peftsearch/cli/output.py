"""How results look in a terminal: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from peftsearch.results import Front, Job, Objective, Trial

PIPED_WIDTH = 160
"""Columns where there is no terminal to ask: tables in files and pipes need not be folded to 80."""


def _width(is_terminal: bool) -> int | None:
    return None if is_terminal or "COLUMNS" in os.environ else PIPED_WIDTH


console = Console(width=_width(sys.stdout.isatty()))
messages = Console(stderr=True, width=_width(sys.stderr.isatty()))

_STYLES = {
    "completed": "green",
    "failed": "red",
    "running": "cyan",
    "stopped": "yellow",
    "paused": "yellow",
    "cancelled": "yellow",
}


def print_json(value: object) -> None:
    """Print a result as JSON with the names that the REST API uses."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def number(value: object) -> str:
    """A number as people read it: whole ones with thousands separators, others with four significant digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if float(value).is_integer() and abs(value) >= 1:
        return f"{int(value):,}"
    return f"{value:.4g}"


def interval(estimate: Mapping[str, float] | None, signed: bool = False) -> str:
    """An estimate with the interval around it, such as `0.81 (0.78 to 0.83)`."""
    if estimate is None:
        return ""
    if estimate["low"] == estimate["high"]:
        return number(estimate["value"])
    value = f"{estimate['value']:+.4g}" if signed else number(estimate["value"])
    return f"{value} ({number(estimate['low'])} to {number(estimate['high'])})"


def seconds(value: float | None) -> str:
    """A duration such as `42s`, `3m 05s` or `2h 07m`; `?` when it is not known."""
    if value is None:
        return "?"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def state(value: str) -> str:
    """A state in its colour."""
    style = _STYLES.get(value)
    return f"[{style}]{value}[/{style}]" if style else value


def settings_of(config: Mapping[str, Any]) -> str:
    """A configuration on one line. The layer switches of a space become one row of ones and zeros."""
    layers = [name for name in config if name.removeprefix("layer_").isdigit()]
    layers.sort(key=lambda name: int(name.removeprefix("layer_")))
    parts = ["layers=" + "".join("1" if config[name] else "0" for name in layers)] if layers else []
    parts += [f"{name}={_short(value)}" for name, value in config.items() if name not in {"method", *layers}]
    return " ".join([str(config.get("method", "")), *parts]).strip()


def jobs_table(jobs: Iterable[Job]) -> Table:
    """One row per job."""
    table = _table("job", "name", "state", "progress", "front", "best", "left")
    for job in jobs:
        left = "" if job.over else seconds(job.progress.seconds_left)
        table.add_row(job.id, job.name, state(job.state), progress(job), str(job.front_size), leader(job), left)
    return table


def progress(job: Job) -> str:
    """Trials that have ended, how much of all training is done while the job goes on, and its confirmations."""
    found = job.progress
    trials = f"{found.done} of {found.trials_total} trials" + ("" if job.over else f" ({found.share:.0%} trained)")
    again = found.confirmations
    return trials if again is None else f"{trials}, {again.done} of {again.total} confirmations"


def leader(job: Job) -> str:
    """The trial that leads a job by its first objective, and what it reached; empty before one has completed."""
    if job.best_trial is None:
        return ""
    values = "  ".join(f"{metric} {number(value)}" for metric, value in job.best.items())
    return f"#{job.best_trial.rpartition('-')[2]} {values}"


def front_tables(front: Front) -> Iterator[Table]:
    """The trials that nothing beats, then the reference trials that something does. One objective makes no front."""
    several = len(front.objectives) > 1
    if front.items:
        yield trials_table(front.items, front.objectives, title="Pareto front" if several else "Best trial")
    aside = [trial for trial in front.reference if not trial.on_front]
    if aside:
        title = "Reference trials off the front" if several else "Other reference trials"
        yield trials_table(aside, front.objectives, title=title)


def trials_table(trials: Sequence[Trial], objectives: Sequence[Objective], title: str | None = None) -> Table:
    """One row per trial: its objectives and its configuration. Reference trials carry their label."""
    metrics = [objective.metric for objective in objectives]
    table = _table("trial", "state", *metrics, "front", "engine", "configuration", title=title)
    for metric in metrics:
        next(column for column in table.columns if column.header == metric).justify = "right"
    for trial in trials:
        mark = f"[bold magenta]{trial.label}[/bold magenta]  " if trial.label else ""
        values = [number(trial.metrics.get(metric)) for metric in metrics]
        what = trial.reason if trial.state == "failed" and trial.reason else settings_of(trial.config)
        front = "●" if trial.on_front else ""
        table.add_row(trial.id, state(trial.state), *values, front, engine_of(trial), mark + _escaped(what))
    return table


def engine_of(trial: Trial) -> str:
    """The engine that trained it, with how many others in one pass, or why not on the fast one."""
    if trial.engine is None:
        return ""
    companions = trial.environment.get("packed_with")
    shared = f"packed with {companions.count(',') + 1}" if companions else None
    remark = trial.engine_reason or shared
    return f"{trial.engine} ({_escaped(remark)})" if remark else trial.engine


def rows_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """A table of the named columns of plain rows."""
    table = _table(*columns)
    for row in rows:
        table.add_row(*(_escaped(_cell(row.get(column))) for column in columns))
    return table


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in {"job", "trial", "state", "trials"})
    return table


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_cell(inner)}" for name, inner in value.items())
    return number(value)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else value
