"""Commands that read what a job has measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.syntax import Syntax

from peftsearch.cli.options import AsJson, JobId, Tags, Token, TrialId, Url, connect
from peftsearch.cli.output import console, front_tables, number, print_json, rows_table, settings_of, trials_table
from peftsearch.results import Best, Trial

app = typer.Typer()


@app.command()
def trials(
    job_id: JobId,
    state: Annotated[list[str] | None, typer.Option(help="Only trials in this state (repeatable)")] = None,
    sort: Annotated[str | None, typer.Option(help="`number` or a metric")] = None,
    descending: Annotated[bool, typer.Option(help="Largest first")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many")] = None,
    tag: Tags = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """List the trials of a job."""
    with connect(url, token) as client:
        found = client.trials(job_id, state or (), sort, descending, limit, tag or ())
        if as_json:
            print_json(found)
        else:
            console.print(trials_table(found, client.job(job_id).objectives))


@app.command()
def pareto(job_id: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Print the Pareto front of a job; reference trials carry their label."""
    with connect(url, token) as client:
        front = client.pareto(job_id)
    if as_json:
        print_json(front)
        return
    tables = list(front_tables(front))
    for table in tables:
        console.print(table)
    if not tables:
        console.print("no trial has completed yet")


@app.command()
def best(
    job_id: JobId,
    maximize: Annotated[str | None, typer.Option(help="Metric to maximize [default: the first objective]")] = None,
    minimize: Annotated[str | None, typer.Option(help="Metric to minimize")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Clause such as 'trainable_params<=20000' (repeatable)")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Answer which hyperparameters to use: the best measured trial, optionally under constraints."""
    with connect(url, token) as client:
        found = client.best(job_id, maximize, minimize, where or ())
    if as_json:
        print_json(found)
    else:
        _print_best(found)


@app.command()
def lineage(trial_id: TrialId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Print how the weights of a trial came about under population-based training."""
    with connect(url, token) as client:
        found = client.lineage(trial_id)
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "trial": one.trial_id,
            "epochs": f"{number(one.from_epoch)} – {'' if one.to_epoch is None else number(one.to_epoch)}",
            "configuration": settings_of(one.config),
        }
        for one in found.stretches
    ]
    console.print(rows_table(rows, ("trial", "epochs", "configuration")))


@app.command()
def reports(trial_id: TrialId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Print the learning curve of a trial: what it had reached at each report."""
    with connect(url, token) as client:
        found = client.reports(trial_id)
    if as_json:
        print_json(found)
        return
    metrics = list(dict.fromkeys(name for one in found for name in one.metrics))
    rows = [
        {"attempt": one.attempt, "step": one.step, "epoch": one.epoch, "seconds": one.seconds, **one.metrics}
        for one in found
    ]
    console.print(rows_table(rows, ("attempt", "step", "epoch", "seconds", *metrics)))


@app.command()
def snippet(trial_id: TrialId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Print Python code that trains a trial's configuration again."""
    with connect(url, token) as client:
        found = client.snippet(trial_id)
    if as_json:
        print_json({"snippet": found})
    else:
        _print_code(found)


@app.command()
def knee(job_id: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Print the trial of the front where giving up a little of one objective buys the most of the others."""
    with connect(url, token) as client:
        found = client.knee(job_id)
    if as_json:
        print_json(found)
    else:
        _print_trial(Trial.from_json(found["trial"]), found["objectives"])


def _print_best(found: Best) -> None:
    _print_trial(found.trial, found.objectives)
    if found.headroom is not None:
        console.print(found.headroom.text, markup=False, highlight=False, soft_wrap=True)
    console.print()
    _print_code(found.snippet)


def _print_trial(trial: Trial, objectives: Mapping[str, float]) -> None:
    label = f" ({trial.label})" if trial.label else ""
    values = ", ".join(f"{metric} {number(value)}" for metric, value in objectives.items())
    for line in (f"trial {trial.id}{label}", values, settings_of(trial.config)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_code(code: str) -> None:
    if console.is_terminal:
        console.print(Syntax(code, "python", background_color="default"))
    else:
        console.print(code, markup=False, highlight=False, soft_wrap=True)
