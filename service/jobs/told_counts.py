"""Counts that a trial tells of where it ran."""

from __future__ import annotations

from collections.abc import Mapping

DIGITS = 9
"""Read at most: whoever reports from outside may send a thousand, and no float holds them."""


def count_told(environment: Mapping[str, str], name: str) -> int:
    """The count that a trial's environment tells under a name; 0 where it does not say."""
    told = environment.get(name, "")
    return int(told[:DIGITS]) if told.isdecimal() else 0
