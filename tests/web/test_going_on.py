"""From one trial to the next job and back: again, around, refined, confirmed; what lists and curves tell of many."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.drawings import drawn_anew
from tests.web.made_jobs import mixture_job
from tests.web.pointer import box_of
from tests.web.search import Search, search_with_confirmation

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_a_trial_is_gone_on_from_and_says_what_became_of_it(page: Page, search: Search) -> None:
    search.begin()
    winner = search.complete(search.lora(4), 0.7, 36_864, adapter=True)
    adapters = [{"trial": winner.id, "config": winner.config, "seed": 0, "sha256": None, "size": 0, "folder": None}]
    changes = {"adapters": adapters, "source": {"trials": [winner.id]}, "steps": [{"step": "compress", "keep": [0.5]}]}
    refined = Search(
        search.store,
        search.artifacts,
        search.folder,
        kind="refine",
        name="smaller",
        space=None,
        budget=None,
        **changes,
    )
    refined.store.set_job_state(search.job.id, "completed")
    refined.start()
    source = refined.complete(refined.suggest(winner.config, "refine", "source"), 0.7, 36_864)
    result = refined.complete(refined.suggest({**winner.config, "refine.of": "0"}, "refine", "compress"), 0.69, 9_216)
    step = {"step": "compress", "trial": result.number, "objectives": {"accuracy": 0.69, "trainable_params": 9216}}
    refined.store.add_answer("refine", "smaller", {"steps": [step]}, refined.job.id)

    page.set_viewport_size({"width": 375, "height": 812})
    page.goto(f"/#/jobs/{search.job.id}")
    stages = page.get_by_role("list", name="Stages").get_by_role("listitem")
    expect(stages).to_have_text(
        [
            re.compile("^dataunfinished.*no trial has told which rows"),
            re.compile("^baseunfinished.*no trial has told which weights"),
            re.compile(r"^spacedone\d+ parameters"),
            re.compile("^searchdone.*on the front"),
            "confirmnot asked for",
            re.compile("^refinerunningsmaller: running"),
            "exportnot asked for",
        ]
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    strip = box_of(page.get_by_role("list", name="Stages"))
    assert strip["height"] < 150  # one row, so that the charts come first
    assert stages.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0
    search.store.exported(winner, str(winner.adapter))
    stages.nth(6).get_by_role("button", name=f"trial {winner.number}").click()
    expect(page.get_by_role("complementary")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"/#/jobs/{search.job.id}?trial={winner.number}")
    drawer = page.get_by_role("complementary")
    drawer.get_by_role("list", name="Refined in").get_by_role("link", name="smaller").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("smaller")
    expect(drawer.get_by_role("heading", name=f"Trial {source.number}")).to_be_visible()
    expect(page.locator(".job-header")).to_contain_text(f"begins with {winner.id}")
    page.get_by_role("tab", name="Answer").click()
    page.get_by_role("table", name="Steps").get_by_role("button", name=f"Trial {result.number}").click()
    drawer.get_by_role("link", name=source.id).click()
    drawer.get_by_role("link", name=winner.id).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a search")

    drawer.get_by_role("link", name="Run again with another seed").click()
    editor = page.get_by_label("Job file (YAML)")
    expect(editor).to_contain_text(f"name: a search, trial {winner.number} again")
    expect(page.get_by_text("No problems found")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"a search, trial {winner.number} again")
    spec = next(job for job in search.store.list_jobs().items if job.name.endswith("again")).spec
    assert (spec["reference_trials"], spec["budget"]["trials"]) == ([winner.config], 1)

    page.goto(f"/#/new?trial={winner.id}&how=around")
    expect(editor).to_contain_text(f"around trial {winner.number}")
    expect(editor).to_contain_text("rank: {low: 2, high: 7}")


@pytest.mark.slow
def test_a_front_that_grows_is_told_without_asking_for_the_stages_again(page: Page, search: Search) -> None:
    search.begin()
    search.claim(search.lora(2))  # one is running all the time
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/stages") else None)
    page.goto(f"/#/jobs/{search.job.id}")
    front = page.get_by_role("list", name="Stages").get_by_role("listitem").nth(3).get_by_role("button")
    expect(front).to_have_text("2 on the front")
    search.complete(search.lora(16), 0.8, 147_456)
    expect(front).to_have_text("3 on the front")  # what the page asks for when it opens has been asked for by now
    before = len(asked)
    search.complete(search.lora(32), 0.9, 294_912)
    expect(front).to_have_text("4 on the front")
    assert len(asked) == before
    alone = Search(search.store, search.artifacts, search.folder, objectives=search.job.spec["objectives"][:1])
    alone.start()
    alone.complete(alone.lora(4), 0.7, 36_864)
    page.goto(f"/#/jobs/{alone.job.id}")
    expect(front).to_have_text("the best trial")


@pytest.mark.slow
def test_a_confirmed_trial_says_what_is_left_of_it(page: Page, search: Search) -> None:
    job = search_with_confirmation(search)
    search.start()  # a conductor takes the oldest job first
    job.start()
    best = job.complete(job.lora(4), 0.7, 36_864)
    job.confirm(best, [0.66, 0.68, 0.7])
    page.goto(f"/#/jobs/{job.job.id}?trial={best.number}")
    drawer = page.get_by_role("complementary")
    expect(drawer).to_contain_text(re.compile(r"3 fresh seeds, measured on the test rows.*accuracy 0\.6800", re.DOTALL))
    drawer.get_by_role("button", name="Beside the others").click()
    expect(page.get_by_role("table", name="Confirmed trials")).to_be_visible()


@pytest.mark.slow
def test_lists_and_curves_tell_of_many_trials(page: Page, search: Search) -> None:
    search.begin()
    for rank in (2, 8, 32):
        search.complete(search.lora(rank), 0.6 + rank / 100, rank * 9216)
    search.stop(search.lora(64), 0.5)
    page.goto("/#/")
    expect(page.get_by_role("img", name="Best accuracy so far, from 0.475 to 0.92")).to_be_visible()
    page.goto(f"/#/jobs/{search.job.id}?tab=curves")
    chart = page.get_by_role("img", name=re.compile("accuracy over the epochs of 6 trials, coloured by state"))
    expect(chart).to_be_visible()
    before = chart.screenshot()
    page.get_by_role("combobox", name="coloured by").select_option("rank")
    chart = page.get_by_role("img", name=re.compile("coloured by rank"))
    before = drawn_anew(chart, before)
    expect(page.get_by_role("list", name="rank").get_by_role("listitem")).to_have_text(["2", "8", "32", "64", "none"])
    page.get_by_role("combobox", name="coloured by").select_option("rung reached")
    rungs = page.get_by_role("list", name="rung reached").get_by_role("listitem")
    expect(rungs).to_have_text(["0.5 epochs", "2 epochs"])
    before = drawn_anew(page.get_by_role("img", name=re.compile("coloured by rung")), before)
    page.get_by_label("Scale of the curves").select_option("log")
    drawn_anew(page.get_by_role("img", name=re.compile("coloured by rung")), before)


@pytest.mark.slow
def test_mixtures_stand_on_the_simplex_of_their_domains(page: Page, search: Search) -> None:
    search.start()  # a conductor takes the oldest job first
    job = mixture_job(search)
    page.goto("/#/ask?tab=mixtures")
    label = re.compile("9 measured mixtures of code, prose, web; recommended: code 60 %, prose 30 %, web 10 %")
    expect(page.get_by_role("img", name=label)).to_be_visible()
    expect(page.get_by_role("table", name="Recommended mixture")).to_contain_text("60.0 %")
    page.goto(f"/#/jobs/{job.job.id}?tab=answer")
    chart = page.get_by_role("img", name=label)
    expect(chart).to_be_visible()
    chart.scroll_into_view_if_needed()
    box = box_of(chart)
    # The corner of the first domain is on top; of the trials the pure one of the last domain lies on its own.
    radius = box["height"] / 2  # of the triangle, which has a quarter of it above and below
    page.mouse.click(box["x"] + box["width"] / 2 - 0.866 * radius, box["y"] + 1.75 * radius)
    expect(page.get_by_role("complementary", name="Trial 0")).to_be_visible()


@pytest.mark.slow
def test_the_loss_of_any_other_mixture_is_told(page: Page, search: Search) -> None:
    search.start()  # a conductor takes the oldest job first
    job = mixture_job(search)
    page.goto(f"/#/jobs/{job.job.id}?tab=answer")
    question = page.get_by_role("group", name="Any other mixture")
    expected = question.locator("p")
    expect(expected).to_contain_text(re.compile(r"Expected loss \d"))
    recommended = expected.inner_text()
    code = question.get_by_role("slider", name="code")
    expect(code).to_have_attribute("aria-valuetext", "60 %")
    code.fill("0")
    expect(question.get_by_role("slider", name="prose")).to_have_attribute("aria-valuetext", "75 %")
    expect(expected).not_to_have_text(recommended)
    expect(expected).to_contain_text(re.compile(r"Expected loss (1\.9|2)"))  # by what was measured without code
