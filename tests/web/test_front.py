"""What the chart and the table call the trials that no other beats, and those that were not trained to the end."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from service.store.store import Store
from tests.web.search import SPEC, Search

pytestmark = pytest.mark.browser


def test_the_best_values_are_those_of_one_trial(page: Page, search: Search) -> None:
    search.begin()
    entry = page.get_by_role("row").filter(has_text="a search")
    expect(entry).to_contain_text("0.6600")
    expect(entry).to_contain_text("73,728")


def test_one_objective_makes_no_front(page: Page, store: Store, search: Search) -> None:
    single = Search(store, search.artifacts, search.folder, name="single", objectives=SPEC["objectives"][:1])
    search.start()  # a conductor takes the oldest job first
    single.begin()
    page.goto(f"/#/jobs/{single.job.id}")
    expect(page.get_by_role("img", name=re.compile("the best one marked"))).to_be_visible()
    expect(page.get_by_role("columnheader", name="Best")).to_be_visible()
    expect(page.get_by_role("button", name="best 1")).to_be_visible()
    expect(page.get_by_text(re.compile("front", re.IGNORECASE))).to_have_count(0)


def test_a_stopped_trial_is_told_from_a_finished_one(page: Page, search: Search) -> None:
    search.begin()
    page.goto(f"/#/jobs/{search.job.id}")
    legend = page.get_by_text("not trained to the end")
    expect(page.get_by_text("dominated")).to_be_visible()
    expect(legend).to_have_count(0)
    search.stop(search.lora(4), 0.6)
    expect(legend).to_be_visible()
