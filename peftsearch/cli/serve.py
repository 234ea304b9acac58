"""`peftsearch serve`: hands over to the service, which is a separate install."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from peftsearch.cli.output import messages

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [env: PEFTSEARCH_HOST; 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [env: PEFTSEARCH_PORT; 8765]")] = None,
    home: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of all state [env: PEFTSEARCH_HOME; ~/.peftsearch]")
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="SQLAlchemy URL [env: PEFTSEARCH_DATABASE; SQLite under the home]")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Ray cluster [env: PEFTSEARCH_RAY; a local one is started]")
    ] = None,
    data_root: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Folder that job files may read (repeatable) [env: PEFTSEARCH_DATA_ROOTS; .]"),
    ] = None,
    programs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Folder whose code jobs may run (repeatable) [env: PEFTSEARCH_PROGRAMS; none]"
        ),
    ] = None,
    artifacts: Annotated[
        str | None, typer.Option(metavar="URL", help="Where adapters are kept [env: PEFTSEARCH_ARTIFACTS; in the home]")
    ] = None,
    hub: Annotated[
        str | None,
        typer.Option(
            metavar="OWNERS", help="Whose hub repositories jobs use: any, off, or a,b [env: PEFTSEARCH_HUB; any]"
        ),
    ] = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(metavar="N", help="Requests a second of a token; 0: no limit [env: PEFTSEARCH_RATE_LIMIT; 200]"),
    ] = None,
    log: Annotated[
        Literal["text", "json"] | None, typer.Option(help="Form of the log [env: PEFTSEARCH_LOG; text]")
    ] = None,
    webhooks: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Where webhooks may point: off, any, or a,b [env: PEFTSEARCH_WEBHOOKS; off]"),
    ] = None,
    judges: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Where judges of answers may be: off, any, or a,b [env: PEFTSEARCH_JUDGES; off]"
        ),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Answer without a token; loopback only [env: PEFTSEARCH_NO_AUTH]")
    ] = False,
    only: Annotated[
        Literal["api", "conductor"] | None, typer.Option(help="Run one half; several machines run several of each")
    ] = None,
) -> None:
    """Run the service: REST API, dashboard and conductor. Ctrl-C stops it; nothing is lost."""
    if importlib.util.find_spec("service") is None:
        messages.print("the service is not installed here; `pip install 'peftsearch\\[service,workers]'` brings it")
        raise typer.Exit(1)
    flags: list[tuple[str, object]] = [
        ("--host", host),
        ("--port", port),
        ("--home", home),
        ("--database", database),
        ("--ray", ray),
        ("--artifacts", artifacts),
        ("--hub", hub),
        ("--rate-limit", rate_limit),
        ("--log", log),
        ("--webhooks", webhooks),
        ("--judges", judges),
        ("--only", only),
        *(("--data-root", root) for root in data_root or ()),
        *(("--programs", folder) for folder in programs or ()),
    ]
    given = [part for flag, value in flags if value is not None for part in (flag, str(value))]
    # -P: the folder one stands in may hold a `service` or `workers` of its own.
    command = [sys.executable, "-P", "-m", "service.serve", *given, *(["--no-auth"] if no_auth else [])]
    sys.stdout.flush()
    os.execv(sys.executable, command)
