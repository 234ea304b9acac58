"""`peftsearch confirmation JOB`: how much of what a search promised is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from peftsearch.cli.options import AsJson, JobId, Token, Url, connect
from peftsearch.cli.output import console, interval, number, print_json, rows_table

app = typer.Typer()
_COLUMNS = ("trial", "metric", "searched", "promised", "confirmed", "kept", "gain left")


@app.command()
def confirmation(job: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """The front and the references, trained again with fresh seeds and measured on rows that the search never saw."""
    with connect(url, token) as client:
        found = client.confirmation(job)
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        console.print("The search is not over: nothing has been confirmed yet.")
        return
    rows = [_row(item["trial"], one) for item in found["items"] for one in item["objectives"]]
    console.print(rows_table(rows, _COLUMNS))
    state = "" if found["state"] == "done" else "; still running"
    console.print(f"{_verdict(found)}{state}", highlight=False)


def _verdict(found: Mapping[str, Any]) -> str:
    """What has become of the promises: none were made, none can be judged yet, or how many were kept."""
    if not found["promised"]:
        return "The search had too few trials to promise anything"
    if not found["promises"]:
        return f"Promised means: {found['promised']}; none of them has the two seeds yet that judging takes"
    means = f"{found['kept']} of {found['promises']} means over {found['seeds']} seeds on `{found['split']}`"
    return f"{means} lie where the search promised"


def _row(trial: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, str]:
    gain = one["gain"]
    left = "" if gain is None else f"{interval(gain['confirmed'], signed=True)} of {gain['searched']:+.4g}"
    return {
        "trial": trial["label"] or trial["id"],
        "metric": one["metric"],
        "searched": "" if one["searched"] is None else number(one["searched"]),
        "promised": interval(one["promised"]),
        "confirmed": interval(one["confirmed"]),
        "kept": {True: "yes", False: "no", None: ""}[one["kept"]],
        "gain left": left,
    }
