"""Every page and every tab of a job against axe's rules of WCAG 2.2 AA, in light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from service.store.nodes import Node, ResourceUse
from service.store.records import Remarks, Resumption
from tests.short_form import short_form
from tests.web.made_jobs import STUDIED, mixture_job, study
from tests.web.search import Search, search_with_confirmation

pytestmark = pytest.mark.browser
AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is, each with the element that it found first."""
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        "rules => axe.run({runOnly: {type: 'tag', values: rules}}).then(result => result.violations)", RULES
    )
    return [f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:160]})" for one in found]


@pytest.mark.slow
@pytest.mark.skipif(not AXE.is_file(), reason="axe is not installed: `make setup`")
@pytest.mark.parametrize("scheme", short_form(["light", "dark"], ["light"]))
def test_no_page_breaks_a_rule(page: Page, search: Search, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864, adapter=True)
    search.fail(search.lora(8), "out_of_memory: 3 GiB")
    search.stop(search.lora(16), 0.5)
    search.store.remark_job(search.job.id, Remarks(["base"], "the first one"))
    studied = Search(
        search.store, search.artifacts, search.folder, name="studied", space=STUDIED, scheduler={"name": "pbt"}
    )
    study(studied)
    weak, strong = (studied.pause(studied.lora(rank), f"{rank}") for rank in (4, 8))
    search.store.resume_trials(studied.job.id, [Resumption(weak.id, 1, strong.id, strong.config)])
    mixture_job(search)
    other = Search(search.store, search.artifacts, search.folder, name="another", seed=1)
    search.store.tell_nodes("conductor", [Node("gpu-1", True, (ResourceUse("CPU", 3.0, 16.0),))])
    job, insights = (f"/#/jobs/{one.job.id}" for one in (search, studied))
    waits = {
        "/#/": "a search",
        f"/#/compare?jobs={search.job.id},{other.job.id}": "where their specs differ",
        "/#/new": "Budget",
        "/#/ask": "Ready to paste",
        "/#/ask?tab=recommend": "Say what you know",
        "/#/ask?tab=laws&law=step-law": "Holds for",
        "/#/ask?tab=mixtures": "A mixture lies the nearer",
        "/#/system": "3 of 16",
        f"{job}?tab=best": "Ready to paste",
        f"{insights}?tab=insights": "Knee of the front",
        f"{insights}?tab=insights&trial=3": "lines are thicker",
        f"{insights}?tab=lineage": "Who went on from whom",
        f"/#/new?trial={search.job.id}-2&how=around": "Budget",
        f"{job}?trial=2": "Learning curves",
        f"{job}?tab=parallel": "Drag along an axis",
        f"{job}?tab=curves": "Learning curves of",
        f"{job}?tab=methods": "Compare methods by",
        f"{job}?tab=compare&compare=1,2": "The same in all",
        f"{job}?tab=spec": "preset",
        f"{job}?tab=log": "completed",
        "/#/nowhere": "There is no such page",
    }
    broken = {}
    for path, words in waits.items():
        page.goto(path)
        expect(page.get_by_text(words).first).to_be_visible()
        broken[path] = violations(page)
    assert {path: found for path, found in broken.items() if found} == {}


@pytest.mark.slow
@pytest.mark.skipif(not AXE.is_file(), reason="axe is not installed: `make setup`")
@pytest.mark.parametrize("scheme", short_form(["light", "dark"], ["dark"]))
def test_no_state_of_a_page_breaks_a_rule(page: Page, search: Search, scheme: Any) -> None:
    """On a phone: dialogs and menus that are open, answers and confirmations, refusals, what is not there, no token."""
    page.expected_errors = ("404", "422", "401")  # type: ignore[attr-defined]
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 375, "height": 812})
    search.begin()
    mixed = mixture_job(search)
    latency = {"metric": "latency_ms", "direction": "minimize"}
    checked = search_with_confirmation(search, objectives=[*search.job.spec["objectives"], latency])
    checked.start()
    checked.confirm(checked.complete(checked.lora(4), 0.7, 36_864), [0.66, 0.68, 0.7])
    job, other = f"/#/jobs/{search.job.id}", f"/#/jobs/{checked.job.id}"
    broken = {}

    def look(name: str, words: str) -> None:
        expect(page.get_by_text(words).filter(visible=True).first).to_be_visible()
        page.evaluate("scrollTo(0, 0)")  # what is half below the bar that stays is small only there
        broken[name] = violations(page)

    page.goto(f"/#/jobs/{mixed.job.id}?tab=answer")
    look("answer", "Any other mixture")
    page.goto(f"{other}?tab=confirmed")
    look("confirmation beside a front in a box", "3 of 3 confirmations")
    page.goto(job)
    page.get_by_text("Columns", exact=True).click()
    look("columns", "latency_ms")
    page.get_by_text("Columns", exact=True).click()
    page.locator('[data-chart="front"]').get_by_role("img").focus()
    page.keyboard.press("+")
    look("a part of a chart", "Whole chart")
    page.goto(f"/#/jobs/{mixed.job.id}?tab=answer&where=number==1-3")
    look("trials chosen in a chart", "number = 1-3")
    page.goto(job)
    for name, words in {
        "Extend": "Trials to add",
        "Change space": "Space (YAML)",
        "Cancel": "Running trials stop",
        "Tags and note of the job": "Tags, with commas",
    }.items():
        page.get_by_role("button", name=name, exact=True).click()
        look(name, words)
        page.keyboard.press("Escape")
    page.goto("/#/")
    for name in ("a search", "checked", "mixed"):
        page.get_by_label(f"Select {name}", exact=True).check()
    for name, words in {"Extend": "more trials each", "Change space": "have in common"}.items():
        page.get_by_role("button", name=name, exact=True).click()
        look(f"{name}, several jobs", words)
        page.keyboard.press("Escape")
    page.goto(f"{job}?trial=1")
    look("drawer", "Learning curves")
    page.goto(f"{job}?where=number>=99")
    look("nothing left", "No trial matches this filter.")
    page.goto("/#/new")
    page.get_by_label("Job file (YAML)").fill("name: x\ntask: {train: nowhere.csv}\nspace: {preset: lora}")
    look("problems", "does not exist")
    page.get_by_role("button", name="Submit").click()
    look("refusal", "Not accepted")
    page.get_by_role("group", name="Job", exact=True).get_by_label("kind").select_option("refine")
    page.get_by_role("button", name="Add a step").click()
    look("steps", "Remove")
    page.goto("/#/jobs/nowhere")
    look("no job", "could not be loaded")
    page.evaluate("sessionStorage.clear()")
    page.reload()
    look("no token", "asks for a token")
    assert {name: found for name, found in broken.items() if found} == {}
