"""`peftsearch recommend`: what to try first on a new task."""

from __future__ import annotations

from typing import Annotated

import typer

from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, messages, number, print_json, rows_table, settings_of

app = typer.Typer()


@app.command()
def recommend(
    model: Annotated[str | None, typer.Option(help="The model to tune [default: that of the type's example]")] = None,
    rows: Annotated[int | None, typer.Option(help="Training rows")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens of a text")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Type of task [default: text-classification]")] = None,
    metric: Annotated[str | None, typer.Option(help="What to be best at [default: that of the type]")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Constraint; repeatable")] = None,
    count: Annotated[int, typer.Option(help="How many configurations")] = 3,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Configurations for a new task, from all past jobs."""
    with connect(url, token) as client:
        found = client.recommend(
            model=model, rows=rows, max_length=max_length, type=kind, metric=metric, where=where or [], count=count
        )
    if as_json:
        print_json(found)
        return
    table = [
        {
            "configuration": settings_of(item["config"]),
            "beats": "" if item["standing"] is None else f"{item['standing']:.0%}",
            "expected": ", ".join(f"{name} {number(one['value'])}" for name, one in item["expected"].items()),
            "rests on": item["trials"][:3],
        }
        for item in found["items"]
    ]
    console.print(rows_table(table, ("configuration", "beats", "expected", "rests on")))
    messages.print(f"from {found['source']} ({found['jobs']} past jobs)", highlight=False)
    for warning in found["warnings"]:
        messages.print(f"warning: {warning}", markup=False, highlight=False)
