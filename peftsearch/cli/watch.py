"""Following a job live: trials done, the best so far, the size of the front and the time left."""

from __future__ import annotations

import time
from typing import Any

from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from peftsearch.cli.output import console, front_tables, leader, number, progress, seconds, settings_of
from peftsearch.client import Client
from peftsearch.results import Event, Job, Trial

REFRESH = 0.5
"""Seconds between two looks at the job while events come in fast."""

TRIAL_OVER = frozenset({"completed", "stopped", "failed"})


def follow(client: Client, job_id: str) -> Job:
    """Show the job until it is over, then its front; returns how it ended."""
    job = client.job(job_id)
    bar, task = _bar(job)
    live = Live(bar, console=console, refresh_per_second=4, redirect_stderr=False)
    with live:
        if not console.is_terminal:
            live.auto_refresh = False
        looked = 0.0
        for event in client.events(job_id):
            if event.kind == "note":
                live.console.print(event.payload["message"], markup=False, highlight=False, soft_wrap=True)
            trial = _ended(client, event)
            if trial is not None or time.monotonic() - looked >= REFRESH or event.kind == "job.state":
                job, looked = client.job(job_id), time.monotonic()
                _show(bar, task, job)
            if trial is not None:
                live.console.print(_line(trial, job), markup=False, highlight=False, soft_wrap=True)
                if not console.is_terminal:  # nothing is live in a file: say with each trial what the bar would show
                    done = f"      {progress(job)}   {summary(job)}"
                    console.print(done, markup=False, highlight=False, soft_wrap=True)
        job = client.job(job_id)
        _show(bar, task, job)
    finish(client, job)
    return job


def finish(client: Client, job: Job) -> None:
    """Print how a job ended and its front."""
    reason = f": {job.reason}" if job.reason else ""
    console.print(f"job {job.id} {job.state}{reason}", markup=False, highlight=False, soft_wrap=True)
    for table in front_tables(client.pareto(job.id)):
        console.print(table)


def summary(job: Job) -> str:
    """The live line: the trial that leads by the first objective, front size and time left."""
    left = "" if job.over else f"   left: {seconds(job.progress.seconds_left)}"
    front = f"   front: {job.front_size}" if len(job.objectives) > 1 else ""
    return f"best: {leader(job) or 'nothing measured yet'}{front}{left}"


def _bar(job: Job) -> tuple[Progress, TaskID]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[trials]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[summary]}"),
        console=console,
        auto_refresh=False,
    )
    return bar, bar.add_task(f"{job.name} ({job.state})", total=1.0, **_shown(job))


def _show(bar: Progress, task: TaskID, job: Job) -> None:
    bar.update(task, description=f"{job.name} ({job.state})", **_shown(job))


def _shown(job: Job) -> dict[str, Any]:
    return {"completed": job.progress.share, "trials": progress(job), "summary": summary(job)}


def _ended(client: Client, event: Event) -> Trial | None:
    """The trial that this event ends, if it does."""
    noun, _, verb = event.kind.partition(".")
    trial_id = event.payload.get("trial_id")
    return client.trial(trial_id) if noun == "trial" and verb in TRIAL_OVER and isinstance(trial_id, str) else None


def _line(trial: Trial, job: Job) -> str:
    values = "  ".join(
        f"{one.metric} {number(trial.metrics[one.metric])}" for one in job.objectives if one.metric in trial.metrics
    )
    place = "on the front" if len(job.objectives) > 1 else "the best so far"
    marks = (f"  ● {place}" if trial.on_front else "") + (f"  [{trial.label}]" if trial.label else "")
    tail = f"  {trial.reason}" if trial.reason else ""
    return f"#{trial.number:<4} {trial.state:<9} {values}{marks}  {settings_of(trial.config)}{tail}"
