"""`peftsearch stages JOB`: where a job stands, from its data to what was exported."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import typer

from peftsearch.cli.options import AsJson, JobId, Token, Url, connect
from peftsearch.cli.output import console, print_json, rows_table

app = typer.Typer()


@app.command()
def stages(job: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """The seven stages of a job, each with its state, its times and what it has brought forth."""
    with connect(url, token) as client:
        found = client.stages(job)
    if as_json:
        print_json(found)
    else:
        rows = [_row(stage) for stage in found]
        console.print(rows_table(rows, ("stage", "state", "from", "to", "what there is")))


def _row(stage: Mapping[str, Any]) -> dict[str, str]:
    parts = [one["text"] for one in stage["products"]] + ([stage["note"]] if stage["note"] else [])
    return {
        "stage": stage["name"],
        "state": stage["state"],
        "from": _moment(stage["started_at"]),
        "to": _moment(stage["finished_at"]),
        "what there is": "; ".join(parts),
    }


def _moment(time: str | None) -> str:
    return "" if time is None else datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
