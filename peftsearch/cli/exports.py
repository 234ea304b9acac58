"""Commands that take a trial's adapter home, and try it."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from peftsearch import checkpoints
from peftsearch.cli.options import Token, TrialId, Url, connect
from peftsearch.cli.output import console
from peftsearch.client import Client
from peftsearch.model_card import tell_search

app = typer.Typer()
GGUF_FILE = "model.gguf"


@app.command()
def export(
    trial_id: TrialId,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to put the adapter into")],
    merged: Annotated[
        bool, typer.Option("--merged", help="Fold it into its base: a whole checkpoint for plain transformers")
    ] = False,
    gguf: Annotated[
        bool, typer.Option("--gguf", help=f"Write the merged checkpoint as {GGUF_FILE} for llama.cpp, too")
    ] = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Download the adapter of a trial with its model card, or make a whole checkpoint of it."""
    if not (merged or gguf):
        with connect(url, token) as client, console.status(f"downloading the adapter of {trial_id}"):
            target = _with_card(client, trial_id, folder)
        console.print(f"adapter of {trial_id} is in {target}", markup=False, highlight=False, soft_wrap=True)
        return
    with TemporaryDirectory() as scratch:
        with connect(url, token) as client, console.status(f"downloading the adapter of {trial_id}"):
            adapter = _with_card(client, trial_id, Path(scratch) / "adapter")
        with console.status("folding it into its base"):
            checkpoints.merge(adapter, folder.absolute())
        console.print(
            f"merged checkpoint of {trial_id} is in {folder}" + (f"\n  vllm serve {folder}" if writes(folder) else ""),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        if gguf:
            with console.status("writing GGUF"):
                file = checkpoints.write_gguf(folder, folder / GGUF_FILE)
            console.print(f"  llama-cli -m {file}", markup=False, highlight=False, soft_wrap=True)


def writes(folder: Path) -> bool:
    """Whether the checkpoint in `folder` is a language model, which servers of such take."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return any(name.endswith("ForCausalLM") for name in config.get("architectures") or ())


@app.command()
def chat(
    trial_id: TrialId,
    message: Annotated[str | None, typer.Option(help="Ask this alone, then end [default: what you type]")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer at most")] = 256,
    temperature: Annotated[float, typer.Option(min=0.0, help="0: always the likeliest token")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws")] = 0,
    url: Url = None,
    token: Token = None,
) -> None:
    """Talk to a trial of a language model and to its base, side by side, on this machine."""
    options = ["--max-new-tokens", str(max_new_tokens), "--temperature", str(temperature), "--seed", str(seed)]
    options += [] if message is None else ["--message", message]
    with TemporaryDirectory() as scratch:
        with connect(url, token) as client, console.status(f"downloading the adapter of {trial_id}"):
            adapter = client.export(trial_id, Path(scratch) / "adapter")
        status = checkpoints.chat(adapter, options)
    if status != 0:
        raise typer.Exit(status)


def _with_card(client: Client, trial_id: str, folder: Path) -> Path:
    """The adapter, with a card that knows its search."""
    target = client.export(trial_id, folder)
    tell_search(client, target, trial_id)
    return target
