"""Every chart of the dashboard: it zooms, moves, comes back, and what stands for a trial opens or chooses it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.short_form import short_form
from tests.web.charted_pages import ADDRESSES
from tests.web.conftest import WEB
from tests.web.pointer import after, box_of, drag, on_page, picture, ticks, trial_in
from tests.web.search import Search
from tests.web.test_dashboard import row

pytestmark = pytest.mark.browser

REGISTER = json.loads((WEB / "src" / "charts" / "register.json").read_text())
"""The names of all charts; TypeScript takes no other."""
OF_TRIALS = [name for name, chart in REGISTER.items() if chart["opens"] == "trial"]
BOXED = [name for name, chart in REGISTER.items() if chart["box"]]
SHORT = ("front", "curves", "slice")
"""A cloud, lines, and a chart beside others."""
TURNS = {"front in a box"}
"""Dragging turns it."""
NO_TICKS = {"front in a box", "mixtures", "parallel", "learning curve", "methods"}
"""No ticks in the strip below the plane where the others have theirs."""
BESIDE = dict.fromkeys(("slice", "contour"), (".importance", '[data-chart="contour"] canvas'))
"""What pushes the chart about while it comes."""
FREE = 0.06
"""A box around a trial reaches so far, as a share of the chart."""


def open_chart(page: Page, search: Search, name: str) -> Locator:
    """The holder of the chart, in view."""
    page.goto(ADDRESSES[name](search))
    chart = page.locator(f'[data-chart="{name}"]').first
    expect(chart.locator("canvas").first).to_be_visible()
    for selector in BESIDE.get(name, ()):
        expect(page.locator(selector).first).to_be_visible()
    chart.scroll_into_view_if_needed()
    page.mouse.move(0, 0)
    return chart


def middle(chart: Locator) -> tuple[float, float]:
    """Of the chart, a little beside whatever stands in the middle itself."""
    box = box_of(chart)
    return box["x"] + box["width"] * 0.47, box["y"] + box["height"] * 0.53


def zoom(chart: Locator) -> None:
    """Ctrl and two notches of the wheel over the middle."""
    page = chart.page
    page.mouse.move(*middle(chart))
    page.keyboard.down("Control")
    for _ in range(2):
        page.mouse.wheel(0, -120)
    page.keyboard.up("Control")


def test_no_chart_is_left_out() -> None:
    assert list(ADDRESSES) == list(REGISTER)
    sources = [path.read_text() for path in (WEB / "src").rglob("*.tsx")]
    drawn = {found for text in sources for found in re.findall(r"\bname=\"([a-z ]+)\"", text)}
    assert set(REGISTER) <= drawn
    makers = [path.name for path in (WEB / "src").rglob("*.ts*") if re.search(r"\binit\(", path.read_text())]
    assert sorted(makers) == ["chart.test.ts", "chart.tsx"]  # nothing else makes a canvas of its own


@pytest.mark.slow
@pytest.mark.parametrize("name", short_form(REGISTER, SHORT))
def test_a_chart_zooms_moves_and_comes_back(page: Page, search: Search, name: str) -> None:
    chart = open_chart(page, search, name)
    whole = picture(chart)
    back = chart.get_by_role("button", name="Whole chart")
    expect(back).to_have_count(0)
    zoom(chart)
    expect(back).to_be_visible()
    near = after(chart, whole)
    if name not in NO_TICKS:
        assert ticks(near) != ticks(whole)
    back.click()
    expect(back).to_have_count(0)
    page.mouse.move(0, 0)
    assert picture(chart) == whole
    chart.get_by_role("img").focus()
    page.keyboard.press("+")
    near = after(chart, whole)
    page.keyboard.press("ArrowRight")
    right = after(chart, near)
    x, y = middle(chart)
    drag(page, (x, y), (x + 50, y + 20))
    page.mouse.move(0, 0)
    after(chart, right)
    if name not in TURNS:
        box = box_of(chart)
        page.mouse.dblclick(box["x"] + box["width"] - 4, box["y"] + box["height"] - 3)
        expect(back).to_have_count(0)
        page.mouse.move(0, 0)
        assert picture(chart) == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", short_form(OF_TRIALS, SHORT))
def test_a_click_on_what_stands_for_a_trial_opens_it(page: Page, search: Search, name: str) -> None:
    chart = open_chart(page, search, name)
    place, number = trial_in(chart)
    page.mouse.click(*on_page(chart, place))
    expect(page).to_have_url(re.compile(rf"trial={number}\b"))
    expect(page.get_by_role("complementary", name=f"Trial {number}", exact=True)).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("name", short_form(BOXED, SHORT))
def test_a_box_chooses_the_trials_in_it(page: Page, search: Search, name: str) -> None:
    chart = open_chart(page, search, name)
    place, number = trial_in(chart)
    box = box_of(chart)
    x, y = on_page(chart, place)
    right, down = FREE * box["width"], FREE * box["height"]
    left, top = max(x - right, box["x"] + 2), max(y - down, box["y"] + 2)
    page.keyboard.down("Shift")
    drag(page, (left, top), (x + right, y + down))
    page.keyboard.up("Shift")
    filters = page.get_by_label("Filters", exact=True)
    if name == "front":  # its axes are columns of the table, so what the box spans is asked of them
        expect(filters.get_by_role("listitem")).to_have_count(4)
        expect(page.get_by_role("button", name="all 17")).to_have_count(0)
        expect(row(page, number)).to_be_visible()
        return
    expect(filters.get_by_role("listitem")).to_contain_text("number =")
    runs = re.findall(r"(\d+)(?:-(\d+))?", page.url.split("number%3D%3D")[-1].split("&")[0])
    chosen = [one for first, last in runs for one in range(int(first), int(last or first) + 1)]
    assert number in chosen
    whole = {int(one) for one in range(17)}
    assert set(chosen) < whole
    page.get_by_role("button", name=re.compile("^Remove number")).click()
    expect(filters.get_by_role("listitem")).to_have_count(0)


@pytest.mark.slow
def test_what_is_shown_stays_when_a_trial_comes(page: Page, search: Search) -> None:
    search.begin()
    page.goto(f"/#/jobs/{search.job.id}")
    chart = page.locator('[data-chart="progress"]')
    expect(chart.get_by_role("img")).to_have_attribute("aria-label", re.compile("after 2 finished"))
    zoom(chart)
    back = chart.get_by_role("button", name="Whole chart")
    expect(back).to_be_visible()
    near = picture(chart)
    search.complete(search.lora(4), 0.7, 36_864)
    expect(chart.get_by_role("img")).to_have_attribute("aria-label", re.compile("after 3 finished"))
    after(chart, near)
    expect(back).to_be_visible()
    back.click()
    expect(back).to_have_count(0)
