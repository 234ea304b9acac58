"""`peftsearch predict law`, `fit-law` and `laws`: laws of your own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from peftsearch.cli.law_answer import ask
from peftsearch.cli.options import AsJson, Token, Url, connect, connect_or_answer
from peftsearch.cli.output import console, messages, print_json, rows_table
from peftsearch.cli.tables import number, read_csv, read_text

app = typer.Typer()

Parameters = Annotated[float | None, typer.Option("--params", help="Parameters, for adapters the trained ones")]
Tokens = Annotated[float | None, typer.Option("--tokens", help="Training tokens")]
Rank = Annotated[float | None, typer.Option("--rank", help="Rank of the adapters, where the law depends on it")]
COLUMNS = ("parameters", "tokens", "learning_rate", "batch", "loss")


@app.command("law")
def law(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A stored law, as `peftsearch predict laws` prints it")],
    params: Parameters = None,
    tokens: Tokens = None,
    rank: Rank = None,
    version: Annotated[int | None, typer.Option(help="An earlier version [default: the newest]")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Learning rate and batch size from a law of your own."""
    question = {"law": name, "version": version, "parameters": params, "tokens": tokens, "rank": rank}
    ask("law", question, as_json, url, token)


@app.command("laws")
def laws(as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the laws that were learnt here."""
    with connect(url, token) as client:
        found = client.laws()
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "law": one["name"],
            "version": one["version"],
            "from": one["job_id"] or "uploaded table",
            "runs": one["answer"]["rows"],
            "depends on": one["answer"]["law"]["variables"],
        }
        for one in found
    ]
    console.print(rows_table(rows, ("law", "version", "from", "runs", "depends on")) if rows else "no laws yet")


@app.command("fit-law")
def fit_law(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=f"CSV, Parquet or JSON lines with {', '.join(COLUMNS)}")],
    name: Annotated[str | None, typer.Option(help="Keep the law on the server under this name")] = None,
    batch_unit: Annotated[str, typer.Option(help="What `batch` counts, for a law that is kept")] = "tokens",
    params: Parameters = None,
    tokens: Tokens = None,
    rank: Rank = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Fit a law to a table of runs, answer for a size, and keep it when it gets a name."""
    rows = read_runs(file)
    asked = {"parameters": params, "tokens": tokens, "rank": rank}
    question = {"rows": rows} | {key: value for key, value in asked.items() if value is not None}
    with (connect_or_answer if name is None else connect)(url, token) as client:
        found = client.fit_law(question)
        kept = client.store_law(name, rows, batch_unit) if name is not None else None
    if as_json:
        print_json({**found, "stored": kept and {key: kept[key] for key in ("name", "version")}})
        return
    table = [{"of": target, **found[target]["exponents"], **found[target]} for target in ("learning_rate", "batch")]
    columns = ("of", "coefficient", *found["learning_rate"]["exponents"], "standard_errors", "left_out_error")
    console.print(rows_table(table, columns))
    if found["best"] is not None:
        chosen = found["best"]
        console.print(
            f"best of the settings tried: learning rate {chosen['learning_rate']:.4g}, batch {chosen['batch']:g}"
        )
    if kept is not None:
        messages.print(f"kept as {kept['name']} version {kept['version']}", markup=False, highlight=False)


def read_runs(file: Path) -> list[Mapping[str, Any]]:
    """The runs in a table; other columns than ours are left out. Raises typer.BadParameter."""
    known = (*COLUMNS, "rank")
    runs: list[Mapping[str, Any]] = []
    for where, row in _rows(file):
        missing = [name for name in COLUMNS if name not in row]
        if missing:
            there = ", ".join(map(str, row))
            raise typer.BadParameter(f"{file}: no column {', '.join(missing)}; there are {there}")
        runs.append({name: number(file, where, name, row[name]) for name in known if row.get(name) not in (None, "")})
    return runs


def _rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(line or row, values by column) of each run."""
    kind = file.suffix.lower()
    if kind == ".parquet":
        yield from ((f"row {index}", row) for index, row in enumerate(_parquet(file), start=1))
    elif kind in (".jsonl", ".ndjson"):
        yield from ((f"line {line}", row) for line, row in _json_lines(file))
    else:
        yield from ((f"line {line}", row) for line, row in read_csv(file))


def _parquet(file: Path) -> list[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise typer.BadParameter(f"{file}: reading Parquet needs `pip install pyarrow`, or write CSV") from None
    try:
        return parquet.read_table(file).to_pylist()  # type: ignore[no-any-return]
    except (ArrowException, OSError) as error:
        raise typer.BadParameter(f"{file}: {error}") from error


def _json_lines(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, written in enumerate(read_text(file).split("\n"), start=1):
        if not written.strip():
            continue
        try:
            row = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise typer.BadParameter(f"{file}, line {line}: {error}") from error
        if not isinstance(row, dict):
            raise typer.BadParameter(f"{file}, line {line}: expected an object, found {type(row).__name__}")
        yield line, row
