"""`peftsearch importance JOB`: which parameters matter."""

from __future__ import annotations

from typing import Annotated

import typer

from peftsearch.cli.options import AsJson, JobId, Token, Url, connect
from peftsearch.cli.output import console, print_json, rows_table

app = typer.Typer()


@app.command()
def importance(
    job: JobId,
    metric: Annotated[str | None, typer.Option(help="A metric [default: the first objective]")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """How much each parameter of a job matters for a metric."""
    with connect(url, token) as client:
        found = client.importance(job, metric)
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "parameter": one["parameter"],
            "share": f"{one['value']:.0%}",
            "between": f"{one['low']:.0%} to {one['high']:.0%}",
        }
        for one in found["items"]
    ]
    console.print(f"{found['metric']}, from {found['trials']} trials", highlight=False)
    console.print(rows_table(rows, ("parameter", "share", "between")))
