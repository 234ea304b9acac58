"""The page of the service itself: who works on what, and its tokens made, rotated and revoked."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from service.store.nodes import GpuMemory, Node, ResourceUse
from service.store.records import Remarks
from service.store.store import Store
from tests.patience import PATIENCE_S
from tests.web.made_jobs import STUDIED, mixture_job, study
from tests.web.pointer import box_of
from tests.web.search import Search
from tests.web.server import Server
from workers.assignment import Outcome

pytestmark = pytest.mark.browser


def accepted(server: Server, secret: str) -> bool:
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.get(f"{server.url}v1/jobs", headers=headers, timeout=PATIENCE_S).status_code == 200


@pytest.mark.slow
def test_workers_and_room_are_shown_as_they_are(page: Page, search: Search) -> None:
    search.begin()
    trial = search.claim(search.lora(4))
    page.get_by_role("link", name="System").click()
    worker = page.get_by_role("table", name="Workers").get_by_role("row").filter(has_text=f"worker of {trial.id}")
    expect(worker.get_by_role("link", name=trial.id)).to_have_attribute(
        "href", f"#/jobs/{search.job.id}?trial={trial.number}"
    )
    expect(page.get_by_role("table", name="Conductors")).to_contain_text(search.job.id)
    expect(page.get_by_role("region", name="Queue")).to_contain_text("running trials")
    expect(page.get_by_role("region", name="Machine")).to_contain_text(re.compile(r"free, \d+ %"))
    gpu = GpuMemory("H200", 35 << 30, 140 << 30)
    search.store.tell_nodes("conductor", [Node("gpu-1", True, (ResourceUse("CPU", 3.0, 16.0),), (gpu,))])
    node = page.get_by_role("table", name="Ray nodes").get_by_role("row").filter(has_text="gpu-1")
    expect(node).to_contain_text("3 of 16")
    expect(node.get_by_role("meter", name="H200 of gpu-1")).to_have_attribute("value", str(35 << 30))
    search.finish(trial, 0.7, 1000)
    expect(page.get_by_text("Nobody trains a trial.")).to_be_visible()


@pytest.mark.slow
def test_a_pack_is_one_worker_with_several_trials(page: Page, search: Search) -> None:
    search.begin()
    one, other = (search.lora(rank) for rank in (4, 8))
    for trial in (one, other):
        search.store.claim_trial(search.job.id, "worker of a pack", 600, trial_id=trial.id)
    page.goto("/#/system")
    rows = page.get_by_role("table", name="Workers").get_by_role("row").filter(has_text="worker of a pack")
    expect(rows).to_have_count(2)
    for trial in (one, other):
        expect(rows.get_by_role("link", name=trial.id)).to_be_visible()
    environment = {"packed_with": other.id}
    ended = Outcome(trial_id=one.id, attempt=1, status="completed", metrics={"accuracy": 0.7}, environment=environment)
    search.store.finish_trial(ended)
    expect(rows).to_have_count(1)
    page.goto(f"/#/jobs/{search.job.id}?trial={one.number}")
    expect(page.get_by_role("complementary", name=f"Trial {one.number}")).to_contain_text(f"packed with {other.id}")


@pytest.mark.slow
def test_a_token_is_made_rotated_and_revoked(page: Page, server: Server) -> None:
    page.goto("/#/system")
    page.get_by_label("Name").fill("ann")
    page.get_by_role("button", name="Make a token").click()
    secret = page.get_by_role("region", name="Secret")
    expect(secret).to_be_visible()
    first = secret.inner_text()
    assert accepted(server, first)
    page.get_by_role("button", name="Rotate ann").click()
    expect(secret).not_to_have_text(first)
    assert accepted(server, secret.inner_text())
    page.on("dialog", lambda dialog: dialog.accept())
    table = page.get_by_role("table", name="Tokens")
    expect(table.get_by_role("row").filter(has_text="ann")).to_have_count(2)
    page.get_by_role("button", name="Revoke ann").first.click()
    expect(table.get_by_role("row").filter(has_text="revoked")).to_have_count(1)
    assert not accepted(server, secret.inner_text())


def test_who_is_no_operator_is_told_what_it_takes(page: Page, store: Store) -> None:
    page.expected_errors = ("403",)  # type: ignore[attr-defined]
    page.goto(f"/?token={store.create_token('reader', ['read'])[0]}#/system")
    expect(page.get_by_text("this needs a token with the scope `admin`")).to_be_visible()


@pytest.mark.slow
def test_on_a_phone_nothing_scrolls_sideways(page: Page, search: Search) -> None:
    search.begin()
    search.store.remark_job(search.job.id, Remarks(["base", "may"], "a note of some length that has to be broken"))
    page.set_viewport_size({"width": 375, "height": 812})
    job = f"/#/jobs/{search.job.id}"
    waits = {
        "/#/": "2 of 40",
        "/#/new": "Budget",
        "/#/ask": "Ready to paste",
        "/#/system": "Make a token",
        f"/#/compare?jobs={search.job.id}": "by the clock",
        job: "literature-default",
        f"{job}?tab=curves": "Learning curves of",
        f"{job}?trial=1": "Metrics",
    }
    wide = {}
    for path, words in waits.items():
        page.goto(path)
        expect(page.get_by_text(words).first).to_be_visible()
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in wide.items() if width > 375} == {}


@pytest.mark.slow
def test_on_a_phone_no_tab_of_a_job_scrolls_sideways(page: Page, store: Store, search: Search) -> None:
    search.start()  # a conductor takes the oldest job first
    job = Search(store, search.artifacts, search.folder, space=STUDIED, scheduler={"name": "pbt"})
    study(job)
    mixed = mixture_job(search)
    page.set_viewport_size({"width": 375, "height": 812})
    here, other = f"/#/jobs/{job.job.id}", f"/#/jobs/{mixed.job.id}"
    waits = {
        f"{here}?tab=best": "Ready to paste",
        f"{here}?tab=insights": "Knee of the front",
        f"{here}?tab=parallel": "Drag along an axis",
        f"{here}?tab=compare&compare=0,1,2": "Trial 2",
        f"{here}?tab=lineage": "No trial has gone on",
        f"{here}?tab=spec": "objectives",
        f"{here}?tab=log": "trial",
        f"{other}?tab=answer": "A mixture lies the nearer",
    }
    wide = {}
    for path, words in waits.items():
        page.goto(path)
        expect(page.get_by_role("tabpanel").get_by_text(words).first).to_be_visible()
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in wide.items() if width > 375} == {}


@pytest.mark.slow
def test_on_a_very_wide_screen_charts_stand_beside_the_table(page: Page, search: Search) -> None:
    search.begin()
    page.set_viewport_size({"width": 3840, "height": 2160})
    page.goto(f"/#/jobs/{search.job.id}")
    table = page.get_by_role("grid", name="Trials")
    expect(table.locator("tbody tr[data-index]")).to_have_count(2)
    charts, trials = box_of(page.locator(".panels")), box_of(table)
    assert charts["x"] + charts["width"] <= trials["x"]
    assert charts["y"] < trials["y"] + trials["height"]
    assert trials["x"] + trials["width"] > 0.9 * 3840


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "words", "widest"),
    [
        ("", "2 of 40", ".jobs"),
        ("#/new", "Budget", ".yaml-editor"),
        ("#/ask", "Ready to paste", ".answer"),
        ("#/ask?tab=laws", "Holds for", ".chart-law"),
        ("#/system", "Make a token", ".system-facts"),
    ],
)
def test_on_a_very_wide_screen_every_page_uses_the_width(
    page: Page, search: Search, path: str, words: str, widest: str
) -> None:
    search.begin()
    page.set_viewport_size({"width": 3840, "height": 2160})
    page.goto(f"/{path}")
    expect(page.get_by_text(words).first).to_be_visible()
    box = box_of(page.locator(widest).first)
    assert box["x"] + box["width"] > 0.9 * 3840
    assert page.evaluate("document.documentElement.scrollWidth") <= 3840
