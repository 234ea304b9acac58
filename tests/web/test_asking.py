"""The page of questions: the best of a job under limits on sliders, what past jobs recommend, what laws predict."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.drawings import drawn_anew
from tests.web.search import Search

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_a_limit_on_a_slider_changes_the_best(page: Page, search: Search) -> None:
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864)
    search.complete(search.lora(16), 0.8, 147_456)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Ask").click()
    expect(page.get_by_role("button", name="Trial 3")).to_be_visible()
    slider = page.get_by_role("slider", name="trainable_params")
    expect(slider).to_have_attribute("aria-valuetext", "any")
    slider.fill("95")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("≤"))
    expect(page.get_by_role("button", name="Trial 2")).to_be_visible()
    slider.fill("100")
    page.get_by_role("button", name="Trial 3").click()
    expect(page).to_have_url(re.compile(f"#/jobs/{search.job.id}\\?trial=3"))


@pytest.mark.slow
def test_a_recommendation_names_the_trials_that_it_rests_on(page: Page, search: Search) -> None:
    search.begin()
    trials = [search.complete(search.lora(rank), 0.6 + rank / 100, 9216 * rank) for rank in (2, 4, 8, 16)]
    page.goto("/#/ask?tab=recommend")
    page.get_by_label("rows").fill("1000")
    page.get_by_role("button", name="Recommend").click()
    answer = page.get_by_role("listitem").first
    expect(answer).to_contain_text("rank=16")
    expect(answer).to_contain_text(re.compile(r"Expected to beat \d+ %"))
    expect(answer.get_by_role("link", name=trials[-1].id)).to_have_attribute(
        "href", f"#/jobs/{search.job.id}?trial={trials[-1].number}"
    )


@pytest.mark.slow
def test_a_law_answers_as_it_is_asked_and_says_where_it_holds(page: Page) -> None:
    page.goto("/#/ask?tab=laws&law=step-law")
    answer = page.get_by_role("table", name="Prediction")
    expect(answer.get_by_role("row").filter(has_text="learning_rate")).to_contain_text(re.compile(r"\de-\d"))
    expect(page.get_by_text("Holds for")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("learning_rate over parameters, 11 points"))).to_be_visible()
    chart = page.get_by_role("img", name=re.compile("learning_rate over parameters"))
    drawing = chart.screenshot()
    page.get_by_label("Scale of the law across").select_option("linear")
    drawn_anew(chart, drawing)
    before = answer.inner_text()
    page.get_by_label("parameters").first.fill("3e8")
    expect(answer).not_to_have_text(before, use_inner_text=True)
    page.get_by_role("combobox", name="Law", exact=True).select_option("loss-curve")
    expect(page.get_by_role("img", name="loss over tokens, 20 points")).to_be_visible()


@pytest.mark.slow
def test_a_law_that_refuses_says_which_field_and_why(page: Page) -> None:
    page.expected_errors = ("422",)  # type: ignore[attr-defined]
    page.goto("/#/ask?tab=laws&law=lora-lr")
    expect(page.get_by_role("table", name="Prediction")).to_be_visible()
    page.get_by_label("family").fill("gpt")
    expect(page.get_by_label("family")).to_have_attribute("aria-invalid", "true")
