"""Names that the user may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from service.errors import FieldProblem

SHOWN = 40
"""A list of more names than this is cut: nobody reads it to its end."""


def unknown_name(field: str, found: Any, names: Iterable[str], what: str) -> FieldProblem:
    """The problem of a name that does not exist: lists those that do and the one that was probably meant."""
    known = sorted(names)
    allowed = ", ".join(known[:SHOWN]) + (", …" if len(known) > SHOWN else "")
    near = did_you_mean(str(found), known)
    return FieldProblem(field, found, allowed, f"there is no {what} {found!r}{near}; allowed: {allowed}")


def did_you_mean(found: str, names: Iterable[str]) -> str:
    """` (did you mean 'accuracy'?)`, or nothing when no name is near."""
    by_folded = {name.casefold(): name for name in names}
    near = get_close_matches(found.casefold(), by_folded, n=1, cutoff=0.6)
    return f" (did you mean {by_folded[near[0]]!r}?)" if near else ""
