"""What a canvas shows, seen as a person does."""

from __future__ import annotations

import time
from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import Locator

WITHIN = 120.0  # seconds, on a slow and busy machine
PAUSE_MS = 100
VIVID = 60  # steps of 255 between two channels


def drawn_anew(chart: Locator, before: bytes) -> bytes:
    """Wait until a chart looks other than it did; how it looks now."""
    deadline = time.monotonic() + WITHIN
    while (now := chart.screenshot()) == before:
        assert time.monotonic() < deadline, "the chart was not drawn anew"
        chart.page.wait_for_timeout(PAUSE_MS)
    return now


def at_rest(chart: Locator) -> bytes:
    """Wait until the pointer is away and a chart looks the same twice: no tooltip, nothing on its way; how it looks."""
    chart.page.mouse.move(0, 0)
    before, deadline = b"", time.monotonic() + WITHIN
    while (now := chart.screenshot()) != before:
        assert time.monotonic() < deadline, "the chart does not come to rest"
        before = now
        chart.page.wait_for_timeout(5 * PAUSE_MS)
    return now


def colours(picture: bytes) -> int:
    """How many pixels of a PNG are of a colour rather than grey."""
    red, green, blue = np.asarray(Image.open(BytesIO(picture)).convert("RGB"), dtype=np.int16).transpose(2, 0, 1)
    return int((np.maximum(abs(red - green), abs(green - blue)) > VIVID).sum())
