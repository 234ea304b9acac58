"""One filter for chart, parallel coordinates, table and download, and trials side by side; the address holds both."""

from __future__ import annotations

import csv
import json
import re

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.web.drawings import at_rest, colours
from tests.web.pointer import box_of
from tests.web.search import Search

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def trials(search: Search) -> None:
    """Two references and sixteen trials of ranks 1 to 61."""
    search.begin()
    for number in range(16):
        config = {"method": "lora", "rank": 1 + 4 * number, "targets": "qv" if number % 2 else "all"}
        search.complete(search.suggest(config), 0.6 + number / 100, 1000 * (1 + 4 * number))


def rows(page: Page) -> Locator:
    return page.get_by_role("grid", name="Trials").locator("tbody tr[data-index]")


def add_filter(page: Page, column: str, relation: str, value: str) -> None:
    page.get_by_label("Filter: column").select_option(column)
    page.get_by_label("Filter: relation").select_option(relation)
    page.get_by_label("Filter: value").fill(value)
    page.get_by_role("button", name="Filter", exact=True).click()


@pytest.mark.slow
def test_a_filter_narrows_the_table_and_survives_a_reload(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}")
    expect(rows(page)).to_have_count(18)
    add_filter(page, "rank", "<=", "20")
    expect(rows(page)).to_have_count(6)  # ranks 1, 5, 9, 13, 17 and the literature's 8
    add_filter(page, "targets", "==", "qv")
    expect(rows(page)).to_have_count(2)
    page.reload()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="Remove rank ≤ 20").click()
    expect(rows(page)).to_have_count(8)
    page.get_by_role("button", name="Remove targets = qv").click()
    expect(rows(page)).to_have_count(18)
    assert "where" not in page.url


@pytest.mark.slow
def test_what_is_filtered_out_fades_on_the_front_and_comes_back(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}")
    chart = page.get_by_role("img", name=re.compile("of 18 trials, .* on the Pareto front"))
    expect(chart).to_be_visible()
    whole = at_rest(chart)
    add_filter(page, "rank", "<=", "0")  # nothing is left but what has faded
    expect(rows(page)).to_have_count(0)
    faded = at_rest(chart)
    page.get_by_role("button", name="Remove rank ≤ 0").click()
    expect(rows(page)).to_have_count(18)
    assert at_rest(chart) == whole
    page.goto(f"/#/jobs/{search.job.id}?where=rank<=20")
    expect(rows(page)).to_have_count(6)
    some = at_rest(chart)
    assert colours(faded) < colours(some) < colours(whole)


@pytest.mark.slow
def test_a_value_that_is_no_number_is_not_taken_for_one(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}")
    page.get_by_label("Filter: column").select_option("rank")
    page.get_by_label("Filter: value").fill("many")
    expect(page.get_by_role("button", name="Filter", exact=True)).to_be_disabled()


@pytest.mark.slow
def test_brushing_an_axis_filters_and_a_click_lets_go(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}?tab=parallel")
    chart = page.get_by_role("img", name=re.compile("Parallel coordinates of 18 trials over method, rank"))
    expect(chart).to_be_visible()
    chart.scroll_into_view_if_needed()
    box = box_of(chart)
    axes = 5  # method, rank, targets, accuracy, trainable_params; learning_rate does not vary
    x = box["x"] + 48 + (box["width"] - 48 - 64) / (axes - 1)
    top, bottom = box["y"] + 44, box["y"] + box["height"] - 20
    page.mouse.move(x, (top + bottom) / 2)
    page.mouse.down()
    page.mouse.move(x, bottom - 30, steps=5)
    page.mouse.move(x, bottom - 2, steps=5)
    page.mouse.up()
    chips = page.get_by_label("Filters").get_by_role("listitem")
    expect(chips.filter(has_text="rank")).to_have_count(2)
    remaining = rows(page).count()
    assert 0 < remaining < 18
    page.get_by_role("button", name="Remove all").click()
    expect(rows(page)).to_have_count(18)


@pytest.mark.slow
def test_what_the_table_shows_is_downloaded(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}?where=rank<=20&where=targets==qv")
    expect(rows(page)).to_have_count(2)
    with page.expect_download() as given:
        page.get_by_role("button", name="CSV").click()
    table = list(csv.DictReader(given.value.path().read_text().splitlines()))
    assert sorted(int(row["rank"]) for row in table) == [5, 13]
    assert {"number", "state", "accuracy", "trainable_params", "targets"} <= set(table[0])
    with page.expect_download() as given:
        page.get_by_role("button", name="JSON").click()
    assert sorted(row["rank"] for row in json.loads(given.value.path().read_text())) == [5, 13]
    shown = [int(number) for number in rows(page).locator("td:first-child").all_inner_texts()]
    with page.expect_download() as given:
        page.get_by_role("button", name="Parquet").click()
    read = pq.read_table(given.value.path()).to_pydict()
    assert (read["number"], sorted(read["config.rank"])) == (shown, [5, 13])
    assert read["created_at"][0].tzinfo is not None


@pytest.mark.slow
def test_columns_can_be_hidden_and_stay_in_files(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}")
    expect(page.get_by_role("columnheader", name="latency_ms")).to_be_visible()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="latency_ms").uncheck()
    expect(page.get_by_role("columnheader", name="latency_ms")).to_have_count(0)
    with page.expect_download() as given:
        page.get_by_role("button", name="CSV").click()
    assert "latency_ms" in next(csv.reader(given.value.path().read_text().splitlines()))  # a file holds all of them


@pytest.mark.slow
def test_trials_stand_side_by_side_with_their_differences_first(page: Page, search: Search) -> None:
    for number in (3, 4):
        page.goto(f"/#/jobs/{search.job.id}?trial={number}" + ("&compare=3" if number == 4 else ""))
        page.get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("tab", name="Compare 2").click()
    table = page.get_by_role("table", name="Compared trials")
    expect(table.get_by_role("columnheader")).to_have_count(3)
    expect(table.get_by_role("row").filter(has_text="rank")).to_contain_text("5")
    expect(table.get_by_role("row").filter(has_text="targets")).to_contain_text("all")
    expect(table).not_to_contain_text("method")
    expect(page.get_by_text(re.compile("The same in all: .*method"))).to_be_visible()
    page.get_by_role("button", name="Leave out trial 4").click()
    expect(page.get_by_role("tab", name="Compare 1")).to_be_visible()


@pytest.mark.slow
def test_methods_stand_side_by_side_and_follow_the_filter(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}?tab=methods")
    table = page.get_by_role("table", name="Methods by accuracy")
    lora = table.get_by_role("row").filter(has_text="lora")
    expect(lora).to_contain_text("0.7500")
    expect(table.get_by_role("row").nth(2)).to_contain_text("head")
    expect(page.get_by_role("img", name="accuracy of 2 methods, the best first: lora, head")).to_be_visible()
    add_filter(page, "rank", "<=", "20")
    expect(page.get_by_role("img", name="accuracy of 1 methods, the best first: lora")).to_be_visible()
    page.goto(f"/#/jobs/{search.job.id}?tab=methods&where=rank==(none)")
    expect(page.get_by_role("img", name="accuracy of 1 methods, the best first: head")).to_be_visible()


@pytest.mark.slow
def test_all_learning_curves_stand_in_one_chart_and_follow_the_filter(page: Page, search: Search) -> None:
    page.goto(f"/#/jobs/{search.job.id}?tab=curves")
    all_of_them = page.get_by_role("img", name=re.compile("accuracy over the epochs of 18 trials"))
    expect(all_of_them).to_be_visible()
    add_filter(page, "rank", "<=", "20")
    expect(page.get_by_role("img", name=re.compile("accuracy over the epochs of 6 trials"))).to_be_visible()
    search.report(search.claim(search.lora(4)), 1, 0.5)
    expect(page.get_by_role("img", name=re.compile("accuracy over the epochs of 7 trials"))).to_be_visible()


@pytest.mark.slow
def test_curves_are_those_of_the_objective_even_when_the_metric_catalogue_comes_late(
    page: Page, search: Search
) -> None:
    held: list[Route] = []
    page.route("**/v1/metrics", lambda route: held.append(route))
    page.goto(f"/#/jobs/{search.job.id}?tab=curves")
    page.reload()  # forgets a catalogue that the list of jobs may have fetched
    expect(page.get_by_label("Learning curves of")).to_be_visible()
    expect(rows(page)).to_have_count(18)
    held[-1].continue_()
    expect(page.get_by_role("img", name=re.compile("accuracy over the epochs of 18 trials"))).to_be_visible()
