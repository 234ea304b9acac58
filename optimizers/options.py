"""What optimizers and schedulers say of themselves: a line of summary, and the options that their fields are."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Option:
    """An option by name, as its annotation has it, with its default."""

    name: str
    type: str
    default: Any


@dataclass(frozen=True)
class Choice:
    """A way to search or to schedule."""

    name: str
    summary: str
    options: tuple[Option, ...]


def described(name: str, kind: Any) -> Choice:
    """What a frozen dataclass says of itself; the job gives the `seed`, so that is no option."""
    paragraph = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    options = tuple(
        Option(field.name, str(field.type), None if field.default is MISSING else field.default)
        for field in fields(kind)
        if field.name != "seed"
    )
    return Choice(name, paragraph, options)
