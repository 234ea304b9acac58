"""Reading `NAME=VALUE` from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from peftsearch.errors import BadInput, Problem


def read(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Names with the text behind the first `=`. Raises BadInput naming the option."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise refused(option, text, "NAME=VALUE, such as rank=8")
        found[name.strip()] = value.strip()
    return found


def value_of(text: str) -> Any:
    """`8`, `1e-3`, `true` and `null` as JSON reads them; anything else is text."""
    written = text.strip()
    try:
        return json.loads(written.lower() if written.lower() in {"true", "false", "null"} else written)
    except ValueError:
        return written


def refused(option: str, found: str, allowed: str) -> BadInput:
    """The error for what an option cannot take."""
    problem = Problem(field=option, found=found, allowed=allowed, message=f"found {found!r}; expected {allowed}")
    return BadInput(400, "The option cannot be used", "The option cannot be used", [problem])
