"""What a canvas shows, seen as a person does."""

from __future__ import annotations

import time

from playwright.sync_api import Locator

WITHIN = 120.0  # seconds, on a slow and busy machine
PAUSE_MS = 100


def drawn_anew(chart: Locator, before: bytes) -> bytes:
    """Wait until a chart looks other than it did; how it looks now."""
    deadline = time.monotonic() + WITHIN
    while (now := chart.screenshot()) == before:
        assert time.monotonic() < deadline, "the chart was not drawn anew"
        chart.page.wait_for_timeout(PAUSE_MS)
    return now
