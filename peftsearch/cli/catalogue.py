"""Commands that list what a job can be about and what can be searched."""

from __future__ import annotations

import typer

from peftsearch.cli.options import AsJson, Token, Url, connect_or_answer
from peftsearch.cli.output import console, print_json, rows_table

app = typer.Typer()


@app.command()
def tasks(as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the types of task with their fields and metrics."""
    with connect_or_answer(url, token) as client:
        found = client.tasks()
    if as_json:
        print_json([entry.to_row() for entry in found])
    else:
        rows = [entry.to_row() | {"fields": [field["name"] for field in entry.details["fields"]]} for entry in found]
        console.print(rows_table(rows, ("name", "summary", "fields", "metrics")))


@app.command()
def methods(as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the PEFT methods with their knobs and sources."""
    with connect_or_answer(url, token) as client:
        found = client.methods()
    if as_json:
        print_json([entry.to_row() for entry in found])
    else:
        rows = [entry.to_row() | {"knobs": [knob["name"] for knob in entry.details["knobs"]]} for entry in found]
        console.print(rows_table(rows, ("name", "family", "knobs", "source")))


@app.command()
def strategies(as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the training strategies with their knobs and sources."""
    with connect_or_answer(url, token) as client:
        found = client.strategies()
    if as_json:
        print_json([entry.to_row() for entry in found])
    else:
        rows = [entry.to_row() | {"knobs": [knob["name"] for knob in entry.details["knobs"]]} for entry in found]
        console.print(rows_table(rows, ("name", "summary", "knobs", "source")))


@app.command()
def spaces(as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the ready-made search spaces."""
    with connect_or_answer(url, token) as client:
        found = client.spaces()
    if as_json:
        print_json([entry.to_row() for entry in found])
    else:
        rows = [
            entry.to_row() | {"parameters": [one["name"] for one in entry.details["parameters"]]} for entry in found
        ]
        console.print(rows_table(rows, ("name", "configurations", "parameters")))
