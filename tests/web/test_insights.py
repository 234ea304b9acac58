"""What the dashboard says beyond single trials: insights, and what a confirmation left of the gain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.store.store import Store
from tests.web.drawings import drawn_anew
from tests.web.made_jobs import STUDIED, study
from tests.web.search import SPEC, Search
from workers.artifacts import ArtifactStore

pytestmark = pytest.mark.browser


@pytest.fixture
def search(store: Store, data_root: Path) -> Search:
    """A job over rank and learning rate that confirms what it finds."""
    return Search(
        store,
        ArtifactStore(str(data_root / "home" / "artifacts")),
        data_root,
        space=STUDIED,
        task={**SPEC["task"], "test": 0.2},
        confirm={"seeds": 3, "split": "test"},
    )


@pytest.mark.slow
def test_insights_name_what_matters_the_knee_and_what_a_change_would_do(page: Page, search: Search) -> None:
    study(search)
    page.goto(f"/#/jobs/{search.job.id}?tab=insights")
    importance = page.get_by_role("table", name="Importance for accuracy, from 17 trials")
    # A costly answer is worked out in a process of its own, which starts with the first one.
    expect(importance.get_by_role("row").first).to_contain_text("learning_rate")
    expect(importance.get_by_role("row").first).to_contain_text(re.compile(r"\d+ % to \d+ %"))
    expect(page.get_by_text("From 17 completed trials")).to_be_visible()
    expect(page.get_by_role("heading", name="Knee of the front")).to_be_visible()
    page.get_by_label("Parameter of the slice").select_option("learning_rate")
    expect(page.get_by_role("img", name=re.compile("accuracy over learning_rate at 33 values"))).to_be_visible()
    page.get_by_label("Metric of the slice").select_option("trainable_params")
    expect(page.get_by_role("img", name=re.compile("trainable_params over learning_rate"))).to_be_visible()
    contour = page.get_by_role("img", name=re.compile("value of accuracy over rank and learning_rate: 7 levels from 0"))
    expect(contour).to_be_visible()
    page.get_by_label("Contour of").select_option("width of the interval")
    expect(page.get_by_role("img", name=re.compile("width of the interval of accuracy"))).to_be_visible()
    for axis in ("contour up", "contour across", "slice across"):
        chart = page.get_by_role("img", name=re.compile("levels from" if "contour" in axis else "at 33 values"))
        before = chart.screenshot()
        page.get_by_label(f"Scale of the {axis}").select_option("linear")  # over decades it was logarithmic
        drawn_anew(chart, before)
    changes = page.get_by_role("table", name="Expected changes")
    expect(changes.get_by_role("row").filter(has_text="learning_rate = ").first).to_contain_text("to")
    page.get_by_label("uncertainty").check()
    expect(page.get_by_text("a trial of the front lies there with 90 % probability, by 17 trials")).to_be_visible()
    page.goto(f"/#/jobs/{search.job.id}?tab=insights&trial=3")
    expect(page.get_by_role("heading", name="What if trial 3 had …")).to_be_visible()


@pytest.mark.slow
def test_too_few_trials_are_said_to_be_too_few(page: Page, search: Search) -> None:
    page.expected_errors = ("422",)  # type: ignore[attr-defined]
    search.start()
    search.complete(search.suggest({"method": "lora", "rank": 8, "learning_rate": 1e-3}), 0.6, 8_000)
    page.goto(f"/#/jobs/{search.job.id}?tab=insights")
    expect(page.get_by_role("alert").first).to_contain_text("at least 8 completed trials")


@pytest.mark.slow
def test_a_confirmation_grows_live_beside_the_search(page: Page, search: Search) -> None:
    reference, best = study(search)
    page.goto(f"/#/jobs/{search.job.id}?tab=confirmed")
    expect(page.get_by_text("The front is trained again as soon as the search is over.")).to_be_visible()
    search.confirm(reference, [0.58, 0.6, 0.62])
    search.confirm(best, [0.68, 0.7, 0.72])
    table = page.get_by_role("table", name="Confirmed trials")
    row = table.get_by_role("row").filter(has_text=f"Trial {best.number}").filter(has_text="accuracy")
    expect(row).to_contain_text("0.7000")
    expect(row).to_contain_text("+0.1000")
    expect(table).to_contain_text("literature-default")
    expect(page.get_by_text("6 of 6 confirmations")).to_be_visible()
    page.get_by_role("tab", name="Trials").click()
    expect(page.get_by_role("grid", name="Trials")).to_have_attribute("aria-rowcount", "18")
