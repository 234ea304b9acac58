"""What goes on from a trial: the spec of a job that could, and the jobs that did."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
import yaml

from peftsearch.cli.options import AsJson, Token, TrialId, Url, connect
from peftsearch.cli.output import console, print_json, rows_table

app = typer.Typer()


@app.command("follow-up")
def follow_up(
    trial_id: TrialId,
    how: Annotated[
        Literal["again", "around"],
        typer.Option(help="The same training with another seed, or a search of a space narrowed round it"),
    ] = "again",
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Print the job file of a job that goes on from a trial: to change, and to submit."""
    with connect(url, token) as client:
        spec = dict(client.follow_up(trial_id, how))
    if as_json:
        print_json(spec)
    else:
        typer.echo(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def uses(trial_id: TrialId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the refine jobs that began with a trial's adapter, as which of their trials."""
    with connect(url, token) as client:
        found = client.uses(trial_id)
    if as_json:
        print_json(found)
        return
    rows = [{"job": one["job_id"], **one, "trial": one["number"]} for one in found]
    console.print(rows_table(rows, ("job", "name", "state", "trial")))
