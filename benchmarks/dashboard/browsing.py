"""What a person does with a page of tens of thousands of trials, with a clock beside it."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-background-networking", "--no-first-run", "--js-flags=--expose-gc"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
STEPS = 60

# Times of frames while something goes on: a frame that comes late is as long as the reader waited for it.
_RECORD = """() => {
  window.frames_ = [];
  let before = performance.now();
  const tick = (now) => {
    window.frames_.push(now - before);
    before = now;
    window.frameId_ = requestAnimationFrame(tick);
  };
  window.frameId_ = requestAnimationFrame(tick);
}"""
_RECORDED = "() => { cancelAnimationFrame(window.frameId_); return window.frames_.slice(1); }"


def browse(url: str, job_id: str, trials: int) -> Iterator[dict[str, float]]:
    """Figures by name, as they are measured; seconds, milliseconds, kilobytes and megabytes as the names say."""
    front = f"{url}v1/jobs/{job_id}/pareto"
    yield {"pareto_ms": median_ms(lambda: httpx.get(front, timeout=60).raise_for_status())}
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield _first_page(browser, url)
        page = browser.new_context(viewport={"width": 1360, "height": 900}).new_page()
        yield _loading(page, url, job_id, trials)
        yield from _handling(page)
        browser.close()


def _first_page(browser: Browser, url: str) -> dict[str, float]:
    """Bytes over the wire until the list of jobs stands there, in a browser that has never been here."""
    page = browser.new_context().new_page()
    wire = _Wire(page)
    started = time.monotonic()
    page.goto(url)
    page.get_by_role("heading", name="Jobs").wait_for()
    return {"first_page_s": time.monotonic() - started, "first_page_kb": wire.bytes / 1000}


def _loading(page: Page, url: str, job_id: str, trials: int) -> dict[str, float]:
    page.goto(url)  # a browser that has been here: hashed files are kept for good
    page.get_by_role("heading", name="Jobs").wait_for()
    wire = _Wire(page)
    started = time.monotonic()
    page.goto(f"{url}#/jobs/{job_id}?tab=parallel")
    page.locator("tbody tr[data-index]").first.wait_for()
    rows = time.monotonic() - started
    page.locator(".chart-front canvas").first.wait_for()
    chart = time.monotonic() - started
    page.locator(f'.chart-front [aria-label*="of {trials} trials"]').wait_for(timeout=120_000)
    everything = time.monotonic() - started
    page.locator(f'.chart-parallel [aria-label*="of {trials} trials"]').wait_for(timeout=120_000)
    brushable = time.monotonic() - started
    page.wait_for_timeout(1500)
    return {
        "first_rows_s": rows,
        "first_chart_s": chart,
        "all_trials_s": everything,
        "brushable_s": brushable,
        "transferred_mb": wire.bytes / 1e6,
        "heap_mb": _heap(page),
    }


def _handling(page: Page) -> Iterator[dict[str, float]]:
    """Frame times of scrolling the table, zooming the front and brushing an axis."""
    grid = page.get_by_role("grid", name="Trials")
    grid.scroll_into_view_if_needed()
    yield _frames(page, "scroll", lambda: _wheel(page, grid, 240))
    chart = page.locator(".chart-front")
    chart.scroll_into_view_if_needed()
    yield _frames(page, "zoom", lambda: _zoom(page, chart))
    parallel = page.locator(".chart-parallel")
    parallel.scroll_into_view_if_needed()
    yield _frames(page, "brush", lambda: _drag(page, parallel))


def _wheel(page: Page, target: Any, by: int) -> None:
    box = target.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 120))
    for step in range(STEPS):
        page.mouse.wheel(0, by if step < STEPS / 2 else -by)
        page.wait_for_timeout(16)


def _zoom(page: Page, target: Any) -> None:
    page.keyboard.down("Control")  # the wheel alone scrolls the page
    _wheel(page, target, -120)
    page.keyboard.up("Control")


def _drag(page: Page, target: Any) -> None:
    """Along the first axis of the chart, from a quarter to three quarters of its height."""
    box = target.bounding_box()
    x = box["x"] + 48
    page.mouse.move(x, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    for step in range(STEPS):
        page.mouse.move(x, box["y"] + box["height"] * (0.25 + step / (2 * STEPS)))
        page.wait_for_timeout(16)
    page.mouse.up()


def _frames(page: Page, name: str, act: Any) -> dict[str, float]:
    page.evaluate(_RECORD)
    act()
    frames = sorted(page.evaluate(_RECORDED))
    return {
        f"{name}_frame_ms": statistics.median(frames),
        f"{name}_frame_p95_ms": frames[int(0.95 * len(frames))],
        f"{name}_frame_worst_ms": frames[-1],
    }


def _heap(page: Page) -> float:
    page.evaluate("() => window.gc && window.gc()")
    return float(page.evaluate("() => performance.memory.usedJSHeapSize")) / 1e6


def median_ms(ask: Callable[[], object]) -> float:
    """Milliseconds of an answer."""
    times = []
    for _ in range(20):
        started = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


class _Wire:
    """Bytes that came over the wire since it was made, headers left out."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0.0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", self._add)

    def _add(self, finished: dict[str, Any]) -> None:
        self.bytes += finished["encodedDataLength"]
