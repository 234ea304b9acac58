"""`peftsearch doctor`: what is installed, whether the server answers, whether the token is good."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

import httpx
import typer
from rich.table import Table

from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, print_json
from peftsearch.cli.usual_mistakes import Finding, clock, secrets, settings
from peftsearch.client import Client
from peftsearch.connection import home
from peftsearch.errors import PeftsearchError

app = typer.Typer()

NEEDED = {
    "service": ("fastapi", "sqlalchemy", "alembic", "uvicorn"),
    "workers": ("torch", "transformers", "peft", "ray", "safetensors"),
    "botorch": ("botorch", "numpyro"),
    "otel": ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
}
"""Packages behind each extra of the install."""

ROOM = 2 * 1024**3
"""Bytes that the home folder should have left: adapters, checkpoints and Ray's spill."""


@app.command()
def doctor(as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Check the installation and the connection to the server; exits with 1 when something is wrong."""
    with connect(url, token) as client:
        findings = [*_installation(), _home(), *secrets(home()), *settings(os.environ), *_server(client)]
    if as_json:
        print_json(findings)
    else:
        console.print(_table(findings))
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


def _installation() -> Iterator[Finding]:
    yield Finding("python", sys.version_info >= (3, 11), sys.version.split()[0] + " (needs 3.11 or newer)")
    yield Finding("peftsearch", True, version("peftsearch"))
    for extra, packages in NEEDED.items():
        found, missing = _versions(packages)
        detail = ", ".join(found) if not missing else f"missing: {', '.join(missing)}; not needed for the client alone"
        yield Finding(f"extra `{extra}`", True if not missing else None, detail)


def _versions(packages: tuple[str, ...]) -> tuple[list[str], list[str]]:
    found, missing = [], []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    return found, missing


def _home() -> Finding:
    folder = home()
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):
        return Finding("home folder", False, f"{folder} cannot be written; set PEFTSEARCH_HOME")
    free = shutil.disk_usage(nearest).free
    return Finding("home folder", free >= ROOM, f"{folder}, {free / 1024**3:.1f} GiB free (2 GiB wanted)")


def _server(client: Client) -> Iterator[Finding]:
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("server", lambda: f"{client.url} runs version {client.health()['version']}"),
        ("store", lambda: str(client.health(ready=True)["status"])),
        ("token", lambda: f"accepted; {len(client.jobs(limit=1))} or more jobs"),
    )
    for what, look in checks:
        try:
            yield Finding(what, True, look())
        except PeftsearchError as error:
            yield Finding(what, False, str(error))
            return
    if (agreed := clock(_date(client.url))) is not None:
        yield agreed


def _date(url: str) -> str | None:
    try:
        headers = httpx.get(f"{url}/v1/healthz", timeout=5).headers
    except httpx.HTTPError:
        return None
    date: str | None = headers.get("date")
    return date


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    marks = {True: "[green]ok[/green]", False: "[red]wrong[/red]", None: "[yellow]absent[/yellow]"}
    for finding in findings:
        table.add_row(marks[finding.ok], finding.what, finding.detail.replace("[", r"\["))
    return table
