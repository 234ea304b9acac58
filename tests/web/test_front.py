"""What the chart and the table call the trials that no other beats, and those that were not trained to the end."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from service.store.imports import Measured
from service.store.store import Store
from tests.web.drawings import at_rest, drawn_anew
from tests.web.pointer import box_of
from tests.web.search import SPEC, Search

pytestmark = pytest.mark.browser


def test_the_best_values_are_those_of_one_trial(page: Page, search: Search) -> None:
    search.begin()
    entry = page.get_by_role("row").filter(has_text="a search")
    expect(entry).to_contain_text("0.6600")
    expect(entry).to_contain_text("73,728")


@pytest.mark.slow
def test_one_objective_makes_no_front(page: Page, store: Store, search: Search) -> None:
    single = Search(store, search.artifacts, search.folder, name="single", objectives=SPEC["objectives"][:1])
    search.start()  # a conductor takes the oldest job first
    single.begin()
    page.goto(f"/#/jobs/{single.job.id}")
    expect(page.get_by_role("img", name=re.compile("the best one marked"))).to_be_visible()
    expect(page.get_by_role("columnheader", name="Best")).to_be_visible()
    expect(page.get_by_role("button", name="best 1")).to_be_visible()
    expect(page.get_by_text(re.compile("front", re.IGNORECASE))).to_have_count(0)


@pytest.mark.slow
def test_a_stopped_trial_is_told_from_a_finished_one(page: Page, search: Search) -> None:
    search.begin()
    page.goto(f"/#/jobs/{search.job.id}")
    legend = page.get_by_text("not trained to the end")
    expect(page.get_by_text("dominated")).to_be_visible()
    expect(legend).to_have_count(0)
    search.stop(search.lora(4), 0.6)
    expect(legend).to_be_visible()


@pytest.mark.slow
def test_scales_are_chosen_and_stay_in_the_address(page: Page, search: Search) -> None:
    search.begin()
    page.goto(f"/#/jobs/{search.job.id}")
    across = page.get_by_label("Scale across")
    expect(across).to_have_value("")
    across.select_option("linear")
    expect(page).to_have_url(re.compile("xs=linear"))
    page.reload()
    expect(across).to_have_value("linear")
    page.get_by_role("combobox", name="over").select_option("minutes of training")
    expect(page.get_by_role("img", name=re.compile("hypervolume after 2 finished trials"))).to_be_visible()


@pytest.mark.slow
def test_the_wheel_scrolls_and_with_ctrl_zooms(page: Page, search: Search) -> None:
    search.begin()
    page.goto(f"/#/jobs/{search.job.id}")
    chart = page.get_by_role("img", name=re.compile("on the Pareto front"))
    expect(chart).to_be_visible()
    before = at_rest(chart)
    chart.hover(position={"x": 150, "y": 120})
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function("() => window.scrollY === 0")
    page.mouse.move(0, 0)
    drawn_anew(chart, before)


@pytest.mark.slow
@pytest.mark.parametrize(("tab", "words"), [("curves", "over the epochs of"), ("trials", "hypervolume after")])
def test_other_charts_zoom_by_the_wheel_and_keys_too(page: Page, search: Search, tab: str, words: str) -> None:
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864)
    page.goto(f"/#/jobs/{search.job.id}?tab={tab}")
    chart = page.get_by_role("img", name=re.compile(words))
    expect(chart).to_be_visible()
    chart.focus()
    whole = at_rest(chart)
    page.keyboard.press("+")
    closer = at_rest(chart)
    assert closer != whole
    page.keyboard.press("ArrowRight")
    assert at_rest(chart) not in (closer, whole)
    page.keyboard.press("0")
    assert at_rest(chart) == whole
    chart.hover()
    assert at_rest(chart) == whole  # what follows is not the tooltip's doing
    chart.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    assert at_rest(chart) != whole


@pytest.mark.slow
def test_three_objectives_stand_in_a_box_with_their_constraint_and_their_past(
    page: Page, store: Store, search: Search
) -> None:
    three = [*SPEC["objectives"], {"metric": "latency_ms", "direction": "minimize"}]
    limits = [{"metric": "trainable_params", "max": 100_000}]
    job = Search(store, search.artifacts, search.folder, name="three", objectives=three, constraints=limits)
    search.start()  # a conductor takes the oldest job first
    job.begin()
    job.complete(job.lora(4), 0.7, 36_864)
    job.complete(job.lora(64), 0.9, 589_824)
    page.goto(f"/#/jobs/{job.job.id}")
    box = page.get_by_role(
        "img", name=re.compile("accuracy, trainable_params and latency_ms of 4 trials in a box, 2 on")
    )
    expect(box).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("hypervolume after 4 finished trials: 0"))).to_be_visible()
    before = at_rest(box)
    page.get_by_role("slider", name="Turn").fill("-120")
    drawn_anew(box, before)
    page.get_by_role("combobox", name="Depth", exact=True).select_option("")
    flat = page.get_by_role("img", name=re.compile("of 4 trials, 2 on the Pareto front"))
    expect(flat).to_have_attribute("aria-label", re.compile("Constraints: trainable_params ≤ 100000"))
    back = page.get_by_role("slider", name="Look back")
    back.fill("2")
    expect(page.get_by_role("img", name=re.compile("of 2 trials, 2 on the Pareto front"))).to_be_visible()
    expect(back).to_have_attribute("aria-valuetext", re.compile("2 of 4 finished"))
    back.press("End")
    expect(flat).to_be_visible()


@pytest.mark.slow
def test_keys_zoom_a_chart_and_a_box_drawn_with_shift_filters(page: Page, search: Search) -> None:
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864)
    page.goto(f"/#/jobs/{search.job.id}")
    chart = page.get_by_role("img", name=re.compile("on the Pareto front"))
    expect(chart).to_be_visible()
    chart.focus()  # which draws a line around it
    before = at_rest(chart)
    page.keyboard.press("+")
    drawn_anew(chart, before)
    page.keyboard.press("0")
    box = box_of(chart)
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.7, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.get_by_label("Filters").get_by_role("listitem")).to_have_count(4)
    expect(page).to_have_url(re.compile("where=accuracy"))


@pytest.mark.slow
def test_each_of_thousands_of_trials_can_be_pointed_at_and_opened(page: Page, search: Search) -> None:
    """A chart draws so many as one picture, which has no symbols that would know of a pointer."""
    search.start()
    side = 60  # close enough for one to lie under every pixel
    spread: list[Measured] = [
        ({"method": "lora", "rank": 8}, {"accuracy": 0.5 + x / 200, "trainable_params": 50_000.0 + 500 * y})
        for x in range(side)
        for y in range(side)
    ]
    search.store.import_trials(search.job.id, spread)
    page.goto(f"/#/jobs/{search.job.id}?trial=2")
    chart = page.get_by_role("img", name=re.compile(f"of {len(spread)} trials, 1 on the Pareto front"))
    expect(chart).to_be_visible()
    expect(page.get_by_role("heading", name="Trial 2", exact=True)).to_be_visible()
    box = box_of(chart)
    chart.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
    tip = page.locator(".tip")
    expect(tip).to_contain_text(re.compile(r"Trial \d+"))
    number = re.findall(r"Trial (\d+)", tip.inner_text())[0]
    chart.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    expect(page.get_by_role("heading", name=f"Trial {number}", exact=True)).to_be_visible()
