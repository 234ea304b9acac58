"""`peftsearch tokens` and `peftsearch audit`: who may do what, and who did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, messages, print_json, rows_table

app = typer.Typer(no_args_is_help=True, help="API tokens: list, make, rotate, revoke (for admins).")
audit_app = typer.Typer()
COLUMNS = ("id", "name", "project", "scopes", "rate", "created_at", "expires_at", "revoked_at")
TokenId = Annotated[str, typer.Argument(metavar="ID", help="Id of a token, as `peftsearch tokens list` prints it")]


@app.command("list")
def list_tokens(as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """List the tokens, without their secrets."""
    with connect(url, token) as client:
        found = client.tokens()
    if as_json:
        print_json(found)
    else:
        console.print(rows_table(found, COLUMNS))


@app.command("make")
def make(
    name: Annotated[str, typer.Argument(help="What people call it")],
    scopes: Annotated[list[str], typer.Option("--scope", help="read, submit, work or admin (repeatable)")],
    project: Annotated[str | None, typer.Option(help="Whose jobs it sees and makes [default: default]")] = None,
    days: Annotated[float | None, typer.Option(help="Days until it expires [default: until revoked]")] = None,
    rate: Annotated[float | None, typer.Option(help="Requests a second [default: the server's --rate-limit]")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Make a token. Its secret is printed this once."""
    with connect(url, token) as client:
        _show(client.create_token(name, scopes, project, None if days is None else days * 86400, rate), as_json)


@app.command("rotate")
def rotate(
    token_id: TokenId,
    overlap: Annotated[float, typer.Option(help="Seconds for which the old secret is good, too")] = 0,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Make a token like this one with a new secret, which is printed this once; this one ends."""
    with connect(url, token) as client:
        _show(client.rotate_token(token_id, overlap), as_json)


@app.command("revoke")
def revoke(token_id: TokenId, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Make a token useless."""
    with connect(url, token) as client:
        ended = client.revoke_token(token_id)
    if as_json:
        print_json(ended)
    else:
        console.print(f"{ended['name']} ({ended['id']}) is revoked", highlight=False, markup=False)


@audit_app.command("audit")
def audit(
    by: Annotated[str | None, typer.Option(metavar="TOKEN", help="Only what tokens of this name (or id) did")] = None,
    target: Annotated[str | None, typer.Option(metavar="ID", help="Only what was done to this job, trial, …")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many entries")] = 50,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Who did what, newest first (for admins): whatever changed something or was refused for want of a scope."""
    with connect(url, token) as client:
        found = client.audit(by, target, limit)
    if as_json:
        print_json(found)
    else:
        columns = ("created_at", "who", "project", "address", "operation", "target", "status")
        console.print(rows_table(found, columns) if found else "nothing yet")


def _show(made: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    messages.print(
        f"token {made['name']} ({made['id']}); its secret is shown this once:", highlight=False, markup=False
    )
    console.print(made["secret"], highlight=False, markup=False, soft_wrap=True)
