"""`peftsearch expectation JOB`: what a configuration that was never run would reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from peftsearch.cli import assignments
from peftsearch.cli.options import AsJson, JobId, Token, Url, connect
from peftsearch.cli.output import console, interval, number, print_json, rows_table, settings_of

app = typer.Typer()


@app.command()
def expectation(
    job: JobId,
    like: Annotated[
        str | None, typer.Option(metavar="TRIAL", help="Start from its configuration [default: the best trial's]")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change one value, null takes it away (repeatable)"),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """The objectives to expect of a configuration never run, and what changes around it."""
    changes = assignments.read("--set", change or ())
    with connect(url, token) as client:
        start = client.trial(like) if like is not None else client.best(job).trial
        config = dict(start.config) | {name: assignments.value_of(text) for name, text in changes.items()}
        config = {name: value for name, value in config.items() if value is not None}
        found = client.expect(job, config)
    if as_json:
        print_json({"config": config, **found})
    else:
        _print(config, found)


def _print(config: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    console.print(
        f"{settings_of(config)}\nfrom {found['trials']} trials", markup=False, highlight=False, soft_wrap=True
    )
    objectives = [
        {"metric": name, "expected": interval(one), "known": "from the configuration" if name in found["known"] else ""}
        for name, one in found["objectives"].items()
    ]
    console.print(rows_table(objectives, ("metric", "expected", "known")))
    changes = [
        {
            "set": f"{one['parameter']}={number(one['value'])}",
            "metric": one["metric"],
            "change": interval(one["change"], signed=True),
        }
        for one in found["sensitivity"]
    ]
    if changes:
        console.print()
        console.print(rows_table(changes, ("set", "metric", "change")))
