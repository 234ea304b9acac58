"""`peftsearch remark`: what people say of a job or a trial."""

from __future__ import annotations

from typing import Annotated

import typer

from peftsearch.cli.options import AsJson, Token, Url, connect
from peftsearch.cli.output import console, print_json
from peftsearch.results import Job, Trial

app = typer.Typer()


@app.command()
def remark(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of a job or of a trial")],
    tag: Annotated[list[str] | None, typer.Option(help="Tag to add (repeatable)")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Tag to take away (repeatable)")] = None,
    note: Annotated[str | None, typer.Option(help="Note in place of the old one; an empty one takes it away")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Tag a job or a trial and note something of it; without options: print what is said of it."""
    with connect(url, token) as client:
        is_trial = "-" in id  # a trial's id is its job's, a dash and its number
        found: Job | Trial = client.trial(id) if is_trial else client.job(id)
        tags = None if not tag and not untag else {*found.tags, *(tag or ())} - set(untag or ())
        if tags is not None or note is not None:
            found = client.remark_trial(id, tags, note) if is_trial else client.remark_job(id, tags, note)
    if as_json:
        print_json(found)
        return
    console.print(f"tags: {', '.join(found.tags) or 'none'}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"note: {found.note or 'none'}", markup=False, highlight=False, soft_wrap=True)
