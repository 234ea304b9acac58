"""Jobs found, tagged, steered together and put side by side; what is said of trials."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.made_jobs import mixture_job
from tests.web.search import SPEC, Search

pytestmark = pytest.mark.browser


@pytest.fixture
def searches(search: Search) -> dict[str, Search]:
    """Two finished searches of different seeds, and one that waits."""
    other = Search(search.store, search.artifacts, search.folder, name="warm", seed=7)
    waiting = Search(search.store, search.artifacts, search.folder, name="waiting")
    for gain, one in enumerate((search, other)):
        one.begin()
        for rank in (4, 8, 16):
            one.complete(one.lora(rank), 0.7 + rank / 200 + gain / 50, rank * 9216)
        one.store.set_job_state(one.job.id, "completed")
    return {"a search": search, "warm": other, "waiting": waiting}


def entry(page: Page, name: str) -> Locator:
    """The row of a job in the list."""
    return page.get_by_role("table", name="Jobs").get_by_role("row").filter(has=page.get_by_label(f"Select {name}"))


def choose(page: Page, *names: str) -> Locator:
    """Select jobs; what can be done with them."""
    for name in names:
        page.get_by_label(f"Select {name}", exact=True).check()
    return page.get_by_role("region", name="Selected jobs")


@pytest.mark.slow
@pytest.mark.usefixtures("searches")
def test_jobs_are_tagged_found_and_sorted(page: Page) -> None:
    bulk = choose(page, "a search", "warm")
    bulk.get_by_label("Tags to add").fill("base, may")
    bulk.get_by_role("button", name="Tag").click()
    expect(bulk.get_by_role("status")).to_contain_text("2 of 2 tagged")
    expect(entry(page, "warm")).to_contain_text("base")
    names = page.get_by_role("table", name="Jobs").locator("tbody th a")
    page.get_by_label("Tag", exact=True).select_option("may")
    expect(names).to_have_text(["warm", "a search"])
    page.reload()  # what is searched for stands in the address
    expect(names).to_have_text(["warm", "a search"])
    page.get_by_role("button", name="Name", exact=True).click()
    expect(names).to_have_text(["a search", "warm"])
    page.get_by_label("Search jobs by name, note or id").fill("WAR")
    expect(names).to_have_text(["warm"])
    page.get_by_label("State", exact=True).select_option("queued")
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(names).to_have_count(3)
    expect(page.get_by_label("Search jobs by name, note or id")).to_have_value("")


@pytest.mark.slow
def test_what_is_done_to_several_jobs_says_how_it_went_with_each(page: Page, searches: dict[str, Search]) -> None:
    page.expected_errors = ("409",)  # type: ignore[attr-defined]
    bulk = choose(page, "a search", "waiting")
    bulk.get_by_role("button", name="Pause").click()
    expect(bulk.get_by_role("status")).to_contain_text("1 of 2 paused")
    told = bulk.get_by_role("list", name="How it went").get_by_role("listitem")
    expect(told.filter(has_text="waiting: paused")).to_have_count(1)
    expect(told.filter(has_text=re.compile("a search: .*completed"))).to_have_count(1)
    expect(entry(page, "waiting")).to_contain_text("paused")
    page.get_by_label("Select a search", exact=True).uncheck()
    bulk.get_by_role("button", name="Resume").click()
    expect(bulk.get_by_role("status")).to_contain_text("1 of 1 resumed")
    choose(page, "waiting")
    bulk.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel 1 job").click()
    expect(bulk.get_by_role("status")).to_contain_text("1 of 1 cancelled")
    page.get_by_label("Select all").check()
    bulk.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 3 jobs").click()
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    assert searches["warm"].store.list_jobs().items == ()


@pytest.mark.slow
def test_more_trials_for_several_jobs_and_minutes_for_those_whose_time_is_limited(page: Page, search: Search) -> None:
    page.expected_errors = ("409",)  # type: ignore[attr-defined]
    search.start()  # a conductor takes the oldest job first
    mixed = mixture_job(search)
    budget = {"trials": 4, "epochs": 1, "wall_clock": 600}
    limited = Search(search.store, search.artifacts, search.folder, name="limited", budget=budget)
    bulk = choose(page, "a search", "limited", "mixed")
    bulk.get_by_role("button", name="Extend").click()
    dialog = page.get_by_role("dialog", name="Extend")
    dialog.get_by_label("Trials to add").fill("5")
    dialog.get_by_label("Minutes to add (to the 1 whose time is limited)").fill("10")
    dialog.get_by_role("button", name="Extend 3 jobs").click()
    expect(dialog).to_have_count(0)
    expect(bulk.get_by_role("status")).to_contain_text("2 of 3 extended")
    told = bulk.get_by_role("list", name="How it went").get_by_role("listitem")
    expect(told.filter(has_text=re.compile("mixed: .* is a mixture job and searches no space"))).to_have_count(1)
    expect(entry(page, "limited")).to_contain_text("of 9")
    budgets = [search.store.get_job(one.job.id).spec["budget"] for one in (search, limited, mixed)]
    assert [one["trials"] for one in budgets] == [45, 9, 9]
    assert [one.get("wall_clock") for one in budgets[:2]] == [None, 1200]


@pytest.mark.slow
@pytest.mark.usefixtures("searches")
def test_on_a_phone_all_jobs_are_selected_and_sorted(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 812})
    page.goto("/#/")
    names = page.locator("table.jobs tbody th a")
    expect(names).to_have_count(3)
    page.get_by_text("Select all", exact=True).click()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(4)
    expect(page.get_by_role("region", name="Selected jobs")).to_contain_text("3 jobs")
    page.get_by_label("Select all").uncheck()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)
    page.get_by_role("button", name="Name", exact=True).click()
    expect(names).to_have_text(["a search", "waiting", "warm"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.slow
def test_the_space_of_several_jobs_is_changed_where_they_are_alike(page: Page, search: Search) -> None:
    page.expected_errors = ("422",)  # type: ignore[attr-defined]
    batch = {"batch_size": {"value": 8}}
    own = ({**batch, "rank": {"low": 4}}, {**batch, "rank": {"low": 16}})
    jobs = [
        Search(
            search.store, search.artifacts, search.folder, name=name, space={"preset": "lora", "overrides": overrides}
        )
        for name, overrides in zip(("one", "two"), own, strict=True)
    ]
    bulk = choose(page, "one", "two")
    change = bulk.get_by_role("button", name="Change space")
    change.click()
    dialog = page.get_by_role("dialog", name="Change space")
    text = dialog.get_by_label("Space (YAML)")
    expect(text).to_have_value(re.compile(r"batch_size: \{value: 8\}"))
    expect(text).not_to_have_value(re.compile("rank"))
    text.fill("preset: lora\noverrides: {rank: {high: 8}}")  # below what the second begins with
    dialog.get_by_role("button", name="Change it").click()
    expect(bulk.get_by_role("status")).to_contain_text("1 of 2 changed")
    refused = bulk.get_by_role("list", name="How it went").get_by_role("listitem").filter(has_text="two: ")
    expect(refused).to_contain_text("space.overrides.rank")
    spaces = [search.store.get_job(one.job.id).spec["space"]["overrides"] for one in jobs]
    assert spaces == [{"rank": {"low": 4, "high": 8}}, own[1]]


@pytest.mark.slow
@pytest.mark.usefixtures("searches")
def test_a_job_is_cloned_from_the_list(page: Page) -> None:
    bulk = choose(page, "a search", "warm")
    expect(bulk.get_by_role("link", name="Compare")).to_be_visible()
    expect(bulk.get_by_role("link", name="Clone")).to_have_count(0)
    page.get_by_label("Select a search", exact=True).uncheck()
    bulk.get_by_role("link", name="Clone").click()
    expect(page.get_by_label("Job file (YAML)")).to_contain_text("name: warm")


@pytest.mark.slow
@pytest.mark.usefixtures("searches")
def test_jobs_stand_side_by_side(page: Page) -> None:
    choose(page, "a search", "warm").get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs compared")
    fronts = page.get_by_role("img", name=re.compile("accuracy against trainable_params on the fronts of 2 jobs"))
    expect(fronts).to_have_attribute("aria-label", re.compile("warm 4, a search 4"))
    course = page.get_by_role("img", name=re.compile("Best accuracy over finished trials of 2 jobs"))
    expect(course).to_have_attribute("aria-label", re.compile("warm 0.8, a search 0.78"))
    page.get_by_label(re.compile("^over")).select_option("minutes since the start")
    expect(page.get_by_role("img", name=re.compile("Best accuracy over minutes since the start"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("accuracy over the epochs of the leading trials"))).to_be_visible()
    table = page.get_by_role("table", name="Compared jobs")
    expect(table.get_by_role("row").filter(has_text="best accuracy")).to_contain_text("0.8000")
    expect(table.get_by_role("row").filter(has=page.get_by_text("seed", exact=True))).to_contain_text("7")
    expect(page.get_by_text(re.compile(r"The same in all: .*task\.model"))).to_be_visible()
    page.get_by_role("link", name="Leave out a search").click()
    expect(table.locator("thead th")).to_have_text(["job", re.compile("^warm")])
    assert SPEC["name"] not in table.inner_text()


@pytest.mark.slow
def test_a_trial_is_tagged_and_found_by_it_and_back_closes_it(page: Page, search: Search) -> None:
    search.begin()
    page.goto(f"/#/jobs/{search.job.id}")
    rows = page.get_by_role("grid", name="Trials").locator("tbody tr[data-index]")
    rows.nth(0).click()
    drawer = page.get_by_role("complementary", name="Trial 1")
    drawer.get_by_role("button", name="Tags and note of trial 1").click()
    dialog = page.get_by_role("dialog", name="Tags and note of trial 1")
    dialog.get_by_label("Tags, with commas").fill("odd, look again")
    dialog.get_by_label("Note").fill("why is it so good?")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(drawer).to_contain_text("why is it so good?")
    expect(rows.filter(has_text="look again")).to_have_count(1)
    rows.nth(1).click()  # another one, and Back closes both
    expect(page.get_by_role("complementary", name="Trial 0")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("complementary")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("a search")
    page.get_by_label("Filter: column").select_option("tags")
    page.get_by_label("Filter: relation").select_option("==")
    page.get_by_label("Filter: value").fill("odd")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Tags and note of the job").click()
    page.get_by_label("Tags, with commas").fill("base")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".job-header")).to_contain_text("base")
    assert search.store.get_job(search.job.id).tags == ["base"]
