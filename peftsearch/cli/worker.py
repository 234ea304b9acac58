"""`peftsearch worker`: claims trials of a job over REST and trains them on this machine."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from peftsearch.cli.options import JobId, Token, Url, connect
from peftsearch.cli.output import messages
from peftsearch.client import Client
from peftsearch.connection import home
from peftsearch.errors import Conflict, PeftsearchError
from peftsearch.training_process import TrainingDied, TrainingProcess

app = typer.Typer()
WAIT = 10.0
"""Seconds that one request waits for a trial to become ready."""


@app.command()
def worker(
    job_id: JobId,
    worker_id: Annotated[str | None, typer.Option(help="Name of this worker [default: host and process id]")] = None,
    artifacts: Annotated[
        str | None,
        typer.Option(
            envvar="PEFTSEARCH_ARTIFACTS", help="Where the server keeps adapters: a shared folder or an fsspec URL"
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Train trials of a job with `resources.executor: external` until the job is over."""
    name = worker_id or f"{socket.gethostname()}-{os.getpid()}"
    with connect(url, token) as client, TrainingProcess(artifacts or str(home() / "artifacts"), home()) as training:
        while (assignment := _next(client, job_id, name)) is not None:
            messages.print(f"training {assignment['trial_id']} (attempt {assignment['attempt']})", highlight=False)
            with _kept(client, job_id, name, assignment):
                _train(client, training, assignment)
    messages.print(f"job {job_id} is over", highlight=False)


def _next(client: Client, job_id: str, name: str) -> dict[str, Any] | None:
    """Wait for the next trial; None when the job is over. Raises Conflict when the job is not for outside workers."""
    while True:
        try:
            found = client.ask(job_id, name, WAIT)
        except Conflict:
            if client.job(job_id).over:
                return None
            raise
        if found is not None:
            return dict(found)


def _train(client: Client, training: TrainingProcess, assignment: dict[str, Any]) -> None:
    plain = {field: value for field, value in assignment.items() if field != "lease_seconds"}
    try:
        outcome = training.train(plain, client.report)
    except TrainingDied as death:
        outcome = {field: plain[field] for field in ("trial_id", "attempt")}
        outcome |= {"status": "failed", "reason": death.reason}
    except Conflict as stale:
        training.kill()  # the trial was given to someone else: nothing it still does would count
        messages.print(f"dropped {plain['trial_id']}: {stale.detail}", highlight=False)
        return
    try:
        client.tell(outcome)
    except Conflict as stale:
        messages.print(f"dropped {plain['trial_id']}: {stale.detail}", highlight=False)
    else:
        messages.print(
            f"{outcome['status']} {plain['trial_id']} {outcome.get('reason') or ''}".rstrip(), highlight=False
        )


@contextmanager
def _kept(client: Client, job_id: str, name: str, assignment: Mapping[str, Any]) -> Iterator[None]:
    """Keep the lease while a trial is silent: asking again returns the open trial and renews its lease."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(float(assignment["lease_seconds"]) / 3):
            try:
                client.ask(job_id, name)
            except PeftsearchError as error:
                messages.print(f"could not renew the lease: {error}", markup=False, highlight=False)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
