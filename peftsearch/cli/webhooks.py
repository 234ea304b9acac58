"""`peftsearch webhooks`: whom to tell that a job has ended or its front has changed."""

from __future__ import annotations

from typing import Annotated

import typer

from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, messages, print_json, rows_table

app = typer.Typer(no_args_is_help=True, help="Webhooks: list, add, remove, and what they were told.")
COLUMNS = ("id", "url", "events", "project", "job_id", "created_at")
DELIVERY_COLUMNS = ("id", "event", "job_id", "state", "attempts", "status", "error", "created_at", "next_at")
WebhookId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of a webhook, as `peftsearch webhooks list` prints it")
]
JobId = Annotated[str | None, typer.Option("--job", metavar="JOB", help="Of this job alone")]


@app.command("list")
def list_webhooks(job: JobId = None, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the webhooks, without their secrets."""
    with connect(url, token) as client:
        found = client.webhooks(job)
    if as_json:
        print_json(found)
    else:
        console.print(rows_table(found, COLUMNS) if found else "none")


@app.command("add")
def add(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="URL that is sent a POST")],
    job: JobId = None,
    project: Annotated[str | None, typer.Option(help="Of this project alone (for admins)")] = None,
    events: Annotated[
        list[str] | None,
        typer.Option("--event", help="job.completed, job.failed, job.cancelled or front (repeatable) [default: ends]"),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Tell an address of what happens from now on. The secret that signs is printed this once."""
    with connect(url, token) as client:
        made = client.create_webhook(address, events or None, job, project)
    if as_json:
        print_json(made)
        return
    messages.print(f"webhook {made['id']}; the secret that signs is shown this once:", highlight=False, markup=False)
    console.print(made["secret"], highlight=False, markup=False, soft_wrap=True)


@app.command("remove")
def remove(webhook_id: WebhookId, url: Url = None, token: Token = None) -> None:
    """Tell it nothing any more."""
    with connect(url, token) as client:
        client.delete_webhook(webhook_id)
    console.print(f"{webhook_id} is removed", highlight=False, markup=False)


@app.command("deliveries")
def deliveries(
    webhook_id: WebhookId,
    limit: Annotated[int, typer.Option(min=1, help="How many messages")] = 50,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """What it was or is to be told, newest first, and how that went."""
    with connect(url, token) as client:
        found = client.deliveries(webhook_id, limit)
    if as_json:
        print_json(found)
    else:
        console.print(rows_table(found, DELIVERY_COLUMNS) if found else "nothing yet")
