"""`peftsearch upload FILE`: data of this machine as data of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, messages, print_json

app = typer.Typer()


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON lines, Parquet … (text also .gz)")],
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Send a file of data to the server and print the path by which jobs name it."""
    with connect(url, token) as client:
        found = client.upload(file)
    if as_json:
        print_json(found)
        return
    console.print(found["path"], markup=False, highlight=False, soft_wrap=True)
    told = f"{found['bytes']:,} bytes; kept as long as a job names it, and a day before one does"
    messages.print(told, markup=False, highlight=False)
