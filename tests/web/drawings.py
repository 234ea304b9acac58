"""What a canvas shows, seen as a person does."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import Locator

from tests import patience
from tests.patience import wait_until

VIVID = 60  # steps of 255 between two channels


def drawn_anew(chart: Locator, before: bytes) -> bytes:
    """Wait until a chart looks other than it did; how it looks now."""
    return wait_until(lambda: (now := chart.screenshot()) != before and now, "the chart is drawn anew")


def at_rest(chart: Locator) -> bytes:
    """Wait until the pointer is away and a chart looks the same twice: no tooltip, nothing on its way; how it looks."""
    chart.page.mouse.move(0, 0)
    return patience.at_rest(chart.screenshot, "the chart", every=0.5)


def colours(picture: bytes) -> int:
    """How many pixels of a PNG are of a colour rather than grey."""
    red, green, blue = np.asarray(Image.open(BytesIO(picture)).convert("RGB"), dtype=np.int16).transpose(2, 0, 1)
    return int((np.maximum(abs(red - green), abs(green - blue)) > VIVID).sum())
