"""Cursors: opaque to callers, positions to us. They name the last row seen, so rows added meanwhile shift nothing."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from service.errors import BadInput
from service.store.columns import storable


def write_cursor(order: str, position: list[Any]) -> str:
    """A cursor for the list in `order` after `position` (the sort key of the last row, its id last)."""
    return base64.urlsafe_b64encode(json.dumps([order, *position]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: str, *read: Callable[[Any], Any]) -> list[Any]:
    """The position in a cursor that `write_cursor` made for the same order, each part as its reader takes it (a
    reader raises ValueError for what it never wrote). Raises BadInput for any other text."""
    try:
        found, *parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if found == order:
            return [take(part) for take, part in zip(read, parts, strict=True)]
    except (ValueError, TypeError, RecursionError, OverflowError):
        pass
    raise BadInput("cursor", cursor, "the `next_cursor` of a page of the same list in the same order")


def moment(part: Any) -> datetime:
    """An aware time in a cursor, in UTC: the first and the last day have moments elsewhere that it has no name for."""
    read = datetime.fromisoformat(part)
    if read.tzinfo is None:
        raise ValueError("a time without a time zone")
    return read.astimezone(UTC)


def text(part: Any) -> str:
    """A text in a cursor."""
    if not isinstance(part, str) or storable(part) != part:
        raise ValueError("no text of ours")
    return part


def number(part: Any) -> int:
    """A count in a cursor."""
    if type(part) is not int or not 0 <= part < 2**31:
        raise ValueError("no count of ours")
    return part


def sort_key(part: Any) -> float | None:
    """A metric or a trial's number in a cursor; None where a trial had none."""
    if part is None:
        return None
    if type(part) not in (int, float) or not math.isfinite(part):
        raise ValueError("no number of ours")
    # A trial's number compares as an integer, as which PostgreSQL takes 32 bits.
    return float(part) if abs(part) >= 2**31 else part


def check_limit(limit: int) -> None:
    """Raise BadInput unless a page of `limit` rows makes sense."""
    if limit < 1:
        raise BadInput("limit", limit, "an integer of at least 1")
