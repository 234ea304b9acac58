"""Every page and every tab of a job against axe's rules of WCAG 2.2 AA, in light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from service.store.nodes import Node, ResourceUse
from service.store.records import Remarks, Resumption
from tests.web.made_jobs import STUDIED, mixture_job, study
from tests.web.search import Search

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


@pytest.mark.skipif(not AXE.is_file(), reason="axe is not installed: `make setup`")
@pytest.mark.parametrize("scheme", ["light", "dark"])
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
