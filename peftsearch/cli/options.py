"""Options that many commands share, and the client they lead to."""

from __future__ import annotations

from typing import Annotated

import typer

from peftsearch.cli.output import messages
from peftsearch.cli.waiting import Waiting
from peftsearch.client import Client
from peftsearch.connection import DEFAULT_URL
from peftsearch.offline import OfflineTransport, can_answer, listens

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="PEFTSEARCH_URL", help="Address of the server [default: http://127.0.0.1:8765]"),
]
Token = Annotated[
    str | None,
    typer.Option("--token", envvar="PEFTSEARCH_TOKEN", help="API token [default: the file `token` in the home folder]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, as `peftsearch jobs` prints it")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only what has this tag (repeatable: all of them)")]
TrialId = Annotated[str, typer.Argument(metavar="TRIAL", help="Id of a trial, as `peftsearch trials JOB` prints it")]


def connect(url: str | None, token: str | None) -> Client:
    """The client for the options of a command."""
    return Client(url, token, on_progress=Waiting())


def connect_or_answer(url: str | None, token: str | None) -> Client:
    """The same for questions that need nothing stored: where no server was named and none runs at the default address,
    this installation answers by itself, and says so."""
    if url is not None or listens(DEFAULT_URL) or not can_answer():
        return connect(url, token)
    messages.print("no server is running: answered without stored jobs and laws", highlight=False)
    return Client(transport=OfflineTransport())
