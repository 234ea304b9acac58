"""`peftsearch courses JOB…`: how far jobs have come, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, print_json, rows_table

app = typer.Typer()
_SHARES = (0.25, 0.5, 0.75, 1.0)


@app.command()
def courses(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB…", help="Ids of jobs")],
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """The best value so far of each job's first objective, after a quarter, half, three quarters and all of its trials.

    With --json at up to 40 finished trials that stand evenly among all."""
    with connect(url, token) as client:
        found = client.courses(jobs)
    if as_json:
        print_json(found)
        return
    rows = []
    for one in found:
        values = one["values"]
        told = {f"{share:.0%}": values[max(0, round(share * len(values)) - 1)] for share in _SHARES if values}
        rows.append({"job": one["job_id"], "best": one["metric"], **told})
    console.print(rows_table(rows, ("job", "best", *(f"{share:.0%}" for share in _SHARES))))
