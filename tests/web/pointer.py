"""A chart as a hand finds it: what its canvas shows, where something stands for a trial, drags over it."""

from __future__ import annotations

import base64
import re
from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page

from tests.patience import at_rest, wait_until

Place = tuple[float, float]
PAUSE = 0.06  # seconds between two looks
MOST = 400  # places that are tried in one picture
APART = 9  # pixels between two places that are tried
MARGIN = (50, 32, 26, 48)  # left, top, right, bottom: where a chart has its names and ticks
REACH = range(-3, 4)  # around a pixel: of a disc all has ink, of a line little
INK = 40  # of 255, from where the canvas is clear, and from the colour that it lies on

TIP = """async (chart) => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const tips = [...chart.querySelectorAll(".tip")];
  return tips.find((tip) => getComputedStyle(tip).visibility !== "hidden")?.innerText ?? "";
}"""
SURFACE = """(chart) => {
  const probe = chart.appendChild(document.createElement("i"));
  probe.style.color = "var(--surface)";
  const color = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  probe.remove();
  return color;
}"""
CANVAS = """(chart) => {
  const layers = [...chart.querySelectorAll("canvas")];
  const whole = Object.assign(document.createElement("canvas"), { width: layers[0].width, height: layers[0].height });
  for (const layer of layers) whole.getContext("2d").drawImage(layer, 0, 0);
  return whole.toDataURL("image/png");
}"""


def picture(chart: Locator) -> bytes:
    """What the canvas alone shows, when it has come to rest: no tooltip, no button over it."""
    return base64.b64decode(at_rest(lambda: chart.evaluate(CANVAS), "the chart", PAUSE).split(",")[1])


def after(chart: Locator, before: bytes) -> bytes:
    """Wait until the canvas shows other than it did."""
    return wait_until(lambda: (now := picture(chart)) != before and now, "the chart is drawn anew", every=0)


def ticks(drawn: bytes) -> bytes:
    """The strip below the plane, with the ticks of the axis across."""
    pixels = _pixels(drawn)
    return pixels[-MARGIN[3] + 4 :].tobytes()


def _pixels(drawn: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(drawn)).convert("RGBA"), dtype=np.int16)


def _places(drawn: bytes, surface: list[int]) -> list[tuple[int, int]]:
    """Where the plane has ink, discs before lines and coloured places before grey ones, with none close to another."""
    pixels = _pixels(drawn)
    left, top, right, bottom = MARGIN
    plane = pixels[top : pixels.shape[0] - bottom, left : pixels.shape[1] - right]
    spread = plane[..., :3].max(axis=-1) - plane[..., :3].min(axis=-1)
    inked = (plane[..., 3] > INK) & (abs(plane[..., :3] - surface).max(axis=-1) > INK)
    around = sum(np.roll(inked, (down, right), (0, 1)).astype(int) for down in REACH for right in REACH)
    order = np.lexsort((-spread[inked], -around[inked]))
    free = np.ones(plane.shape[:2], dtype=bool)
    found = []
    for row, column in np.argwhere(inked)[order]:
        if free[row, column]:
            found.append((int(column) + left, int(row) + top))
            free[max(0, row - APART) : row + APART, max(0, column - APART) : column + APART] = False
    return found


def trial_in(chart: Locator) -> tuple[Place, int]:
    """A place in the chart that stands for a trial, as the tooltip there says, and the trial's number."""

    def look() -> tuple[Place, int] | None:  # again and again: what came meanwhile may have moved or changed the chart
        for place in _places(picture(chart), chart.evaluate(SURFACE))[:MOST]:
            chart.page.mouse.move(*on_page(chart, place))
            if found := re.search(r"[Tt]rial (\d+)", chart.evaluate(TIP)):
                return place, int(found[1])
        return None

    return wait_until(look, "something in the chart tells of a trial", every=0)


def box_of(element: Locator) -> FloatRect:
    """Where it is on the page. Between being found and being measured it may be drawn anew, and then has no place."""
    return wait_until(element.bounding_box, lambda: f"it has a place: {element}", PAUSE)


def on_page(chart: Locator, place: Place) -> Place:
    """Where a place in the chart is on the page at this moment."""
    box = box_of(chart)
    return box["x"] + place[0], box["y"] + place[1]


def drag(page: Page, start: Place, end: Place) -> None:
    """With the left button, in a few steps."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()
