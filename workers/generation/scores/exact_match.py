"""Exact match: whether an answer, or what a pattern finds in it, is the reference. Imports no torch."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?")


def exact_match(answer: str, reference: str, pattern: re.Pattern[str] | None = None) -> float:
    """1.0 where both say the same, else 0.0.

    With a `pattern`, its last match counts (its first group where it has one), in the reference as in the answer; an
    answer without a match is wrong, a reference without one counts whole. Numbers are compared as numbers (`1,200` is
    `1200.0`), everything else letter by letter but for the spaces around it.
    """
    wanted, found = extract(reference, pattern), extract(answer, pattern)
    if pattern is not None:
        wanted = reference if wanted is None else wanted
    return float(found is not None and wanted is not None and _plain(found) == _plain(wanted))


def extract(text: str, pattern: re.Pattern[str] | None) -> str | None:
    """The last match of a pattern in a text, or the text where there is no pattern."""
    if pattern is None:
        return text
    matches = list(pattern.finditer(text))
    if not matches:
        return None
    return matches[-1].group(1) if pattern.groups else matches[-1].group()


def _plain(text: str) -> str:
    text = text.strip()
    if _NUMBER.fullmatch(text.rstrip(".")):
        try:
            return str(Decimal(text.rstrip(".").replace(",", "")).normalize())
        except InvalidOperation:  # more digits than Decimal keeps
            return text
    return text
