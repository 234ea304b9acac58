"""`peftsearch mixture fit FILE`, `show JOB`, `expect JOB MIXTURE`: which mixture of data to train on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from peftsearch.cli.options import AsJson, JobId, Token, Url, connect
from peftsearch.cli.output import console, messages, print_json, rows_table
from peftsearch.cli.tables import number, read_csv, read_text

app = typer.Typer(no_args_is_help=True, help="Recommend a mixture of data domains from measured losses.")


@app.callback()
def _group() -> None:
    """Recommend a mixture of data domains from measured losses."""


@app.command("fit")
def fit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON with mixtures and their losses")],
    loss: Annotated[list[str] | None, typer.Option(help="Column of a CSV file that is a loss; repeatable")] = None,
    target: Annotated[str | None, typer.Option(help="The loss to lower [default: the mean of all]")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Fit a regression to measured mixtures and recommend one."""
    question = _read(file, loss or ["loss"])
    if target is not None:
        question["target"] = target
    with connect(url, token) as client:
        answer = client.fit_mixture(question)
    if as_json:
        print_json(answer)
    else:
        show_mixture(answer)


@app.command("show")
def show(job_id: JobId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """The mixture that a mixture job recommends, and the check of it."""
    with connect(url, token) as client:
        found = client.answer(job_id)
    if found["kind"] != "mixture":
        raise typer.BadParameter(f"{job_id} is a {found['kind']} job")
    if as_json:
        print_json(found)
        return
    show_mixture(found["answer"])
    _show_trust(found["answer"])


@app.command("expect")
def expect(
    job_id: JobId,
    mixtures: Annotated[
        list[str], typer.Argument(metavar="MIXTURE…", help="Shares that sum to one, such as code=0.6,prose=0.4")
    ],
    level: Annotated[float, typer.Option(help="Probability that the intervals cover")] = 0.9,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """The loss to expect of mixtures that nobody may have trained on, by what a mixture job's proxies measured."""
    asked = [_shares(text) for text in mixtures]
    with connect(url, token) as client:
        found = client.expect_mixtures(job_id, asked, level)
    if as_json:
        print_json(found)
        return
    rows = [
        {name: f"{share:.3f}" for name, share in one["weights"].items()}
        | {"loss": f"{one['loss']:.4f}", "from": f"{one['low']:.4f}", "to": f"{one['high']:.4f}"}
        for one in found["items"]
    ]
    console.print(rows_table(rows, (*found["items"][0]["weights"], "loss", "from", "to")))
    for warning in found["warnings"]:
        messages.print(f"warning: {warning}", markup=False, highlight=False)


def _shares(text: str) -> dict[str, float]:
    """The mixture in an argument. Raises typer.BadParameter."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: expected domain=share, found {part!r}") from None
    return shares


def show_mixture(answer: Mapping[str, Any]) -> None:
    """Print a recommendation: weights, effects, predicted loss."""
    effects = {effect["domain"]: effect for effect in answer["effects"]}
    rows = [
        {
            "domain": name,
            "weight": f"{weight:.3f}",
            "best measured": f"{answer['best_measured'][name]:.3f}",
            "effect of 5 % more": f"{effects[name]['change']:+.4f}",
        }
        for name, weight in sorted(answer["weights"].items(), key=lambda item: -item[1])
    ]
    console.print(rows_table(rows, ("domain", "weight", "best measured", "effect of 5 % more")))
    messages.print(
        f"predicted loss {answer['loss']:.4f} ({answer['low']:.4f} to {answer['high']:.4f}, {answer['level']:.0%}); "
        f"best measured {answer['best_measured_loss']:.4f}",
        highlight=False,
    )
    for warning in answer["warnings"]:
        messages.print(f"warning: {warning}", markup=False, highlight=False)


def _show_trust(answer: Mapping[str, Any]) -> None:
    """Print how held-out mixtures were ranked and what the check runs said."""
    if held := answer.get("held_out"):
        messages.print(
            f"{held['mixtures']} held-out mixtures ranked with a correlation of {held['rank_correlation']:.2f}",
            highlight=False,
        )
    if averages := answer.get("averages"):
        told = averages["rank_correlation"]
        found = "too few of them trained to compare" if told is None else f"a correlation of {told:.2f}"
        messages.print(
            f"averages against {averages['mixtures']} mixtures that were really trained: {found}", highlight=False
        )
    for label, gain in answer.get("check", {}).get("gain", {}).items():
        between = "" if gain["low"] is None else f" ({gain['low']:+.4f} to {gain['high']:+.4f}, {gain['level']:.0%})"
        messages.print(
            f"checked: loss lower than the {label} mixture's by {gain['value']:.4f}{between}", highlight=False
        )


def _read(file: Path, losses: Sequence[str]) -> dict[str, Any]:
    """The question in a file. Raises typer.BadParameter when it cannot be read."""
    if file.suffix.lower() != ".json":
        return {"rows": [_row(file, line, row, losses) for line, row in read_csv(file)]}
    try:
        question = json.loads(read_text(file))
    except (json.JSONDecodeError, RecursionError) as error:
        raise typer.BadParameter(f"{file}: {error}") from error
    if not isinstance(question, dict):
        raise typer.BadParameter(f"{file}: expected an object with `rows`")
    return question


def _row(file: Path, line: int, row: dict[str, str], losses: Sequence[str]) -> dict[str, Any]:
    missing = [name for name in losses if name not in row]
    if missing:
        raise typer.BadParameter(f"{file}: no column {', '.join(missing)}; there are {', '.join(row)}")
    numbers = {name: number(file, f"line {line}", name, value) for name, value in row.items()}
    return {
        "weights": {name: value for name, value in numbers.items() if name not in losses},
        "losses": {name: numbers[name] for name in losses},
    }
