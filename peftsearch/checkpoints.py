"""What is made of an exported adapter on this machine, by our `workers` package, which this one never imports."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from peftsearch.errors import MissingExtra, NotMade


def merge(adapter: str | Path, folder: str | Path) -> Path:
    """Fold an exported adapter into its base: a checkpoint for plain transformers, in the new `folder`.

    Tokenizer, chat template, generation settings and a model card come with it. Raises MissingExtra without the
    package's `workers`, NotMade with the reason for what cannot be merged; nothing is left behind then.
    """
    _run("workers.exports.merging", [str(adapter), str(folder)])
    return Path(folder)


def write_gguf(checkpoint: str | Path, file: str | Path) -> Path:
    """Write a checkpoint that `merge` made as one GGUF file. Raises MissingExtra and NotMade."""
    _run("workers.exports.gguf_writing", [str(checkpoint), str(file)])
    return Path(file)


def chat(adapter: str | Path, options: Sequence[str] = ()) -> int:
    """Talk to an exported adapter and its base on this terminal; the exit status. Raises MissingExtra."""
    return subprocess.run(_command("workers.generation.chat", [str(adapter), *options]), check=False).returncode


def _run(module: str, arguments: Sequence[str]) -> None:
    done = subprocess.run(_command(module, arguments), stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise NotMade((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])


def _command(module: str, arguments: Sequence[str]) -> list[str]:
    if importlib.util.find_spec("workers") is None:
        raise MissingExtra("what is made of an adapter", "'peftsearch[workers]'")
    return [sys.executable, "-P", "-m", module, *arguments]
