"""Cursors: opaque to callers, positions to us. They name the last row seen, so rows added meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from service.errors import BadInput


def write_cursor(order: str, position: list[Any]) -> str:
    """A cursor for the list in `order` after `position` (the sort key of the last row, its id last)."""
    return base64.urlsafe_b64encode(json.dumps([order, *position]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: str, length: int) -> list[Any]:
    """The position in a cursor that `write_cursor` made for the same order; raises BadInput for any other text."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        parts = None
    if not isinstance(parts, list) or len(parts) != length + 1 or parts[0] != order:
        raise BadInput("cursor", cursor, "the `next_cursor` of a page of the same list in the same order")
    return parts[1:]


def check_limit(limit: int) -> None:
    """Raise BadInput unless a page of `limit` rows makes sense."""
    if limit < 1:
        raise BadInput("limit", limit, "an integer of at least 1")
