"""One real search in a real browser: the service with its workers, from the form to the winner in hand."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.service.serving import serving
from tests.service.tiny_task import tiny_job
from tests.web.conftest import PATIENCE_MS
from tests.web.pointer import box_of
from tests.web.relay import Relay

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.ray]
# Enough of both for the search to be under way still when somebody who has seen the first trial pauses it.
TRIALS, MORE, ROWS = 12, 2, 2000


def test_a_search_is_watched_from_the_form_to_its_winner(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "home", f"--data-root={tmp_path}") as service,
        Relay(int(service.url.rpartition(":")[2])) as line,
    ):
        context = browser.new_context(viewport={"width": 1360, "height": 900}, base_url=line.url)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        submit(page, tiny_job(tmp_path, trials=TRIALS, train_rows=ROWS, resources={"concurrency": 1}))
        seen = watch(page, line)
        assert len(seen) > 3  # it grew while one watched
        assert seen == sorted(seen)
        extend(page)
        brush(page)
        export(page)
        compare(page)
        take_home(page)
        context.close()


def submit(page: Page, job: dict[str, object]) -> None:
    """Write a job into the editor; the form beside it changes its last field."""
    page.goto("/#/new")
    page.get_by_label("Job file (YAML)").fill(json.dumps({**job, "name": "another"}))
    page.locator(".job-form").get_by_label(re.compile("^name")).fill("real")
    expect(page.get_by_text("No problems found")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("real")


def front(page: Page) -> Locator:
    """The front chart; its label says what it shows."""
    return page.get_by_role("img", name=re.compile("on the Pareto front"))


def watch(page: Page, line: Relay) -> list[int]:
    """Look at the front until the search is over, with a pause in between, in which the line is cut and mended; of how
    many trials it was on the way."""
    page.evaluate(
        """() => {
          window.seen = [];
          const look = () => {
            const label = document.querySelector('[aria-label*="on the Pareto front"]')?.getAttribute("aria-label");
            const count = Number(/of (\\d+) trials/.exec(label)?.[1] ?? 0);
            if (count !== window.seen.at(-1)) window.seen.push(count);
          };
          new MutationObserver(look).observe(document.body, {attributes: true, childList: true, subtree: true});
        }"""
    )
    some = re.compile(r"[1-9]\d* on the Pareto front")
    expect(front(page)).to_have_attribute("aria-label", some)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".job-state")).to_have_text("paused")
    line.cut()
    expect(page.get_by_text(re.compile("^reconnecting in"))).to_be_visible()
    line.mend()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".job-state")).to_have_text("completed")
    expect(front(page)).to_have_attribute("aria-label", re.compile(rf"of {TRIALS} trials"))
    seen: list[int] = page.evaluate("window.seen")
    return seen


def extend(page: Page) -> None:
    """More trials for a search that is over."""
    page.get_by_role("button", name="Extend").click()
    page.get_by_label("Trials to add").fill(str(MORE))
    page.get_by_role("button", name="Extend job").click()
    expect(front(page)).to_have_attribute("aria-label", re.compile(rf"of {TRIALS + MORE} trials"))
    expect(page.locator(".job-state")).to_have_text("completed")


def brush(page: Page) -> None:
    """Drag along the last axis of the parallel coordinates; the filter outlives a reload."""
    page.get_by_role("tab", name="Parallel").click()
    chart = page.get_by_role("img", name=re.compile(f"Parallel coordinates of {TRIALS + MORE} trials"))
    chart.scroll_into_view_if_needed()
    box = box_of(chart)
    x, top, bottom = box["x"] + box["width"] - 64, box["y"] + 44, box["y"] + box["height"] - 20
    page.mouse.move(x, (top + bottom) / 2)
    page.mouse.down()
    page.mouse.move(x, bottom - 2, steps=8)
    page.mouse.up()
    chips = page.get_by_label("Filters").get_by_role("listitem")
    expect(chips).to_have_count(2)
    page.reload()
    expect(chips).to_have_count(2)


def export(page: Page) -> None:
    """The rows that are left, as a file."""
    rows = page.get_by_role("grid", name="Trials").locator("tbody tr[data-index]")
    expect(rows.first).to_be_visible()
    shown = page.get_by_text(re.compile(r"^\d+ trials shown$"))
    expect(shown).not_to_have_text(f"{TRIALS + MORE} trials shown")
    with page.expect_download() as given:
        page.get_by_role("button", name="CSV").click()
    numbers = [row["number"] for row in csv.DictReader(given.value.path().read_text().splitlines())]
    assert 0 < len(numbers) == int(shown.inner_text().split()[0])
    assert rows.first.locator("td").first.inner_text() == numbers[0]
    page.get_by_role("button", name="Remove all").click()


def compare(page: Page) -> None:
    """Two trials side by side."""
    address = page.url.split("?")[0]
    page.goto(f"{address}?tab=compare&compare=2,3")
    table = page.get_by_role("table", name="Compared trials")
    expect(table.get_by_role("columnheader")).to_have_count(3)


def take_home(page: Page) -> None:
    """The best trial and its adapter, in PEFT's form or in ours, as its method has it."""
    page.get_by_role("tab", name="Best").click()
    page.get_by_role("tabpanel").get_by_role("button", name=re.compile(r"^Trial \d+$")).click()
    with page.expect_download() as given:
        page.get_by_role("button", name="Download adapter").click()
    names = zipfile.ZipFile(given.value.path()).namelist()
    assert {"adapter_config.json", "peftsearch_adapter.json"} & set(names)
    assert any(name.endswith(".safetensors") for name in names)
