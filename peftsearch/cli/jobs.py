"""Commands that submit jobs and steer them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peftsearch.cli import jobfile, watch
from peftsearch.cli.options import AsJson, JobId, Tags, Token, Url, connect
from peftsearch.cli.output import console, jobs_table, print_json
from peftsearch.results import Job

app = typer.Typer()


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Job file: YAML or JSON")],
    watch_it: Annotated[bool, typer.Option("--watch", help="Follow the job until it is over")] = False,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Submit a job file. Relative paths in it are relative to the file."""
    with connect(url, token) as client:
        job = client.submit(jobfile.read(file))
        if as_json:
            print_json(job)
        else:
            console.print(f"submitted {job.id} ({job.name})", markup=False, highlight=False)
        if watch_it:
            _exit_as(watch.follow(client, job.id))


@app.command(name="watch")
def watch_job(job_id: JobId, url: Url = None, token: Token = None) -> None:
    """Follow a job until it is over; exits with 1 when it failed or was cancelled."""
    with connect(url, token) as client:
        _exit_as(watch.follow(client, job_id))


@app.command()
def jobs(
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first")] = 50,
    state: Annotated[list[str] | None, typer.Option(help="Only jobs in this state (repeatable)")] = None,
    tag: Tags = None,
    text: Annotated[str | None, typer.Option(help="Only jobs with this in their name, note or id")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """List jobs, newest first."""
    with connect(url, token) as client:
        found = client.jobs(limit, state or (), tag or (), text)
    if as_json:
        print_json(found)
    else:
        none = "no such job" if state or tag or text else "no jobs yet; submit one with `peftsearch submit FILE`"
        console.print(jobs_table(found) if found else none)


@app.command()
def pause(job_id: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Start no further trial of a job until it is resumed."""
    with connect(url, token) as client:
        _print(client.pause(job_id), as_json)


@app.command()
def resume(job_id: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Go on with a paused job."""
    with connect(url, token) as client:
        _print(client.resume(job_id), as_json)


@app.command()
def cancel(job_id: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """End a job now; what it has measured stays."""
    with connect(url, token) as client:
        _print(client.cancel(job_id), as_json)


@app.command()
def delete(
    job_id: JobId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Delete a job that is over, with its trials and reports."""
    if not yes:
        typer.confirm(f"Delete job {job_id} with all its trials?", abort=True)
    with connect(url, token) as client:
        client.delete(job_id)
    console.print(f"deleted {job_id}", markup=False, highlight=False)


@app.command()
def clone(
    job_id: JobId,
    name: Annotated[str | None, typer.Option(help="Name of the new job")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the new job")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Submit a job's spec again, as it is or under another name and seed."""
    changes = {field: value for field, value in (("name", name), ("seed", seed)) if value is not None}
    with connect(url, token) as client:
        _print(client.clone(job_id, changes), as_json)


@app.command()
def extend(
    job_id: JobId,
    trials: Annotated[int, typer.Option(min=0, help="Trials to add")] = 0,
    seconds: Annotated[float | None, typer.Option(min=1, help="Wall clock to add to a job with a limit")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Give a job more budget; a finished one goes on."""
    with connect(url, token) as client:
        _print(client.extend(job_id, trials, seconds), as_json)


def _print(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        console.print(jobs_table([job]))


def _exit_as(job: Job) -> None:
    if job.state != "completed":
        raise typer.Exit(1)
