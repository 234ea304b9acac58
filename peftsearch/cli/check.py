"""`peftsearch check FILE`: what submitting a job file would say, and what its trials will take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from peftsearch.cli import jobfile
from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, messages, number, print_json, rows_table, seconds

app = typer.Typer()
_KIBI = 1024


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Job file: YAML or JSON")],
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Look at a job file without submitting it: every problem, its data, time and memory; exits with 2 on problems."""
    with connect(url, token) as client:
        found = client.check(jobfile.read(file))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found["problems"]:
        raise typer.Exit(2)


def _print(found: Mapping[str, Any]) -> None:
    for problem in found["problems"]:
        messages.print(f"{problem['field']}: {problem['message']}", markup=False, highlight=False, soft_wrap=True)
    if found["splits"]:
        console.print(rows_table([_split(one) for one in found["splits"]], ("split", "rows", "longest", "columns")))
    for line in (*_time(found["cost"]), *_memory(found["memory"])):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not found["problems"]:
        console.print("the job would be taken")


def _split(split: Mapping[str, Any]) -> dict[str, Any]:
    lengths = split["lengths"]
    longest = "" if lengths is None else f"{number(lengths['longest'])} {lengths['unit']}"
    return {"split": split["name"], "rows": split["rows"], "longest": longest, "columns": split["columns"]}


def _time(cost: Mapping[str, Any] | None) -> Iterator[str]:
    if cost is None:
        yield "time: not known before a trial of this model has run here"
    else:
        span = f"{seconds(cost['seconds_low'])} to {seconds(cost['seconds_high'])}"
        yield f"time: {span} of training on one worker, measured on {cost['measured']} trials of this model"


def _memory(memory: Mapping[str, Any] | None) -> Iterator[str]:
    if memory is None:
        return
    base, low, high, whole = (
        _size(memory[name]) for name in ("base_mb", "training_mb_low", "training_mb_high", "whole_mb_high")
    )
    limit = "" if memory["limit_mb"] is None else f"; this machine has {_size(memory['limit_mb'])}"
    yield f"memory of a trial: base {base}, training {low} to {high}, at most about {whole} together{limit}"


def _size(mebibytes: float) -> str:
    return f"{mebibytes:.0f} MiB" if mebibytes < _KIBI else f"{mebibytes / _KIBI:.1f} GiB"
