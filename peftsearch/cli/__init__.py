"""The command line: `peftsearch …`."""

from __future__ import annotations

import sys

import typer

from peftsearch.cli import (
    catalogue,
    check,
    confirmation,
    courses,
    demo,
    doctor,
    expectation,
    exports,
    going_on,
    importance,
    jobs,
    mixture,
    outside,
    predict,
    recommend,
    remarks,
    serve,
    space,
    stages,
    tokens,
    trials,
    upload,
    webhooks,
    worker,
)
from peftsearch.cli.output import messages
from peftsearch.errors import BadInput, NotFound, PeftsearchError

app = typer.Typer(
    name="peftsearch",
    help="Search PEFT configurations and hyperparameters for a model and your data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for part in (
    serve,
    demo,
    check,
    upload,
    jobs,
    remarks,
    space,
    trials,
    exports,
    going_on,
    outside,
    importance,
    expectation,
    confirmation,
    courses,
    stages,
    recommend,
    catalogue,
    worker,
    doctor,
):
    app.registered_commands.extend(part.app.registered_commands)
app.add_typer(predict.app, name="predict")
app.add_typer(mixture.app, name="mixture")
app.add_typer(tokens.app, name="tokens")
app.add_typer(webhooks.app, name="webhooks")
app.registered_commands.extend(tokens.audit_app.registered_commands)


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 the job failed or the server did, 2 bad input."""
    try:
        app()
    except PeftsearchError as error:
        messages.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, BadInput | NotFound) else 1)
    except OSError as error:  # a file or folder that was named to read or write
        messages.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
