"""`peftsearch space JOB`: the space that a job searches, and how to change it while the job runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from peftsearch.cli import assignments
from peftsearch.cli.options import AsJson, JobId, Token, Url, connect
from peftsearch.cli.output import console, print_json

app = typer.Typer()


@app.command()
def space(
    job_id: JobId,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Changes to merge into the space: YAML or JSON")
    ] = None,
    freeze: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Fix a parameter (repeatable)")] = None,
    narrow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LOW:HIGH", help="New bounds, either may be left out (repeatable)"),
    ] = None,
    choices: Annotated[
        list[str] | None, typer.Option(metavar="NAME=A,B", help="Keep these choices (repeatable)")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Print the space of a job, or change it while the job runs."""
    changes = {} if file is None else _merged(file)
    overrides = _overrides(freeze or (), narrow or (), choices or ())
    with connect(url, token) as client:
        job = client.job(job_id)
        if changes or overrides:
            known = job.spec["space"].get("overrides") or {}
            own = {name: _replacing(known.get(name) or {}, change) for name, change in overrides.items()}
            job = client.change_space(job_id, _with_overrides(changes, own))
    searched = job.spec["space"]
    if as_json:
        print_json(searched)
    else:
        text = yaml.safe_dump(searched, sort_keys=False, allow_unicode=True).rstrip()
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _merged(file: Path) -> dict[str, Any]:
    try:
        changes = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise assignments.refused(str(file), str(error), "YAML or JSON to merge into the space") from None
    if not isinstance(changes, dict):
        raise assignments.refused(str(file), type(changes).__name__, "fields of a space with values")
    return changes


def _overrides(freeze: Any, narrow: Any, choices: Any) -> dict[str, dict[str, Any]]:
    """The override that each option stands for, by parameter."""
    found: dict[str, dict[str, Any]] = {}
    for name, text in assignments.read("--freeze", freeze).items():
        found[name] = {"value": assignments.value_of(text)}
    for name, text in assignments.read("--choices", choices).items():
        found[name] = {"choices": [assignments.value_of(one) for one in text.split(",")]}
    for name, text in assignments.read("--narrow", narrow).items():
        low, colon, high = text.partition(":")
        if not colon:
            raise assignments.refused("--narrow", f"{name}={text}", "NAME=LOW:HIGH, either may be left out")
        bounds = {"low": low, "high": high}
        found[name] = {bound: assignments.value_of(value) for bound, value in bounds.items() if value.strip()}
    return found


def _replacing(known: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` as a merge patch (RFC 7396) of a parameter's override: bounds join bounds, all else takes its place."""
    joins = {"low", "high"}.issuperset(change)
    gone = {name: None for name in known if name not in change and not (joins and name in {"low", "high", "prior"})}
    return {**gone, **change}


def _with_overrides(changes: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    return {**changes, "overrides": {**(changes.get("overrides") or {}), **own}} if own else changes
