"""A job of each type of task, written in the form alone: from the schemas and the example that the service gives of the
type, with no knowledge of any, to the queued job."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from service.store.store import Store
from tests.patience import PATIENCE_S
from tests.short_form import short_form
from tests.web.server import Server
from tests.workers.tiny_chat_model import write_language_model
from tests.workers.tiny_sound_model import write_sound_model
from workers.task import DEFAULT_TYPE
from workers.tasks.registry import types

pytestmark = pytest.mark.browser
FETCHED: dict[str, Callable[[Path], Path]] = {
    "builtin:whisper-base-2s": write_sound_model,
    "builtin:smollm2": write_language_model,
}
"""Models of examples that are fetched on first use, and small ones of their kind in their place."""


def labelled(part: Locator, name: str) -> Locator:
    """A field of a part of the form."""
    return part.get_by_label(re.compile(rf"^{name}( required)?$"))


def fill(part: Locator, name: str, value: Any) -> None:
    """Give a field its value in the way that it asks for."""
    field = labelled(part, name)
    kind = field.evaluate("one => one.type === 'checkbox' ? 'checkbox' : one.tagName")
    if kind == "checkbox":
        field.set_checked(value)
    elif kind == "SELECT":
        field.select_option(value)
    else:
        field.fill(value if isinstance(value, str) else json.dumps(value))


def write(page: Page, job: dict[str, Any], fields: list[str]) -> None:
    """Fill the form with a job; `fields` are those that its type of task has."""
    part = page.get_by_role("group", name=re.compile("^Task$"))
    part.get_by_label("type", exact=True).select_option(job["task"]["type"])
    page.locator(".job-form").evaluate("form => form.querySelectorAll('details').forEach(one => { one.open = true })")
    for name in fields:
        if name in job["task"]:
            fill(part, name, job["task"][name])
            continue
        rows = part.get_by_role("group", name=name, exact=True)  # a list whose entries have fields of their own
        field = labelled(part, name).or_(rows).first
        if field.evaluate("one => one.type === 'text' && one.value !== ''"):
            field.fill("")  # of the job that the page begins with
    fill(page.get_by_role("group", name=re.compile("^Job$")), "name", job["name"])
    space = page.get_by_role("group", name=re.compile("^Space$"))
    for name in ("preset", "parameters"):
        if name in job["space"]:
            fill(space, name, job["space"][name])
        elif name == "preset":
            fill(space, name, "")
    objectives = page.get_by_role("group", name=re.compile(r"^objective \d+$"))
    for _ in range(objectives.count(), len(job["objectives"])):
        page.get_by_role("button", name="Add an objective").click()
    for number in range(objectives.count(), len(job["objectives"]), -1):
        page.get_by_role("button", name=f"Remove objective {number}").click()
    for number, objective in enumerate(job["objectives"], start=1):
        row = page.get_by_role("group", name=f"objective {number}", exact=True)
        for name, value in objective.items():
            fill(row, name, value)
    budget = page.get_by_role("group", name=re.compile("^Budget$"))
    for name, value in job["budget"].items():
        fill(budget, name, value)


def example(server: Server, token: str, kind: str) -> tuple[dict[str, Any], list[str]]:
    """The job that the service gives as the example of a type, and the fields of the type."""
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S) as service:
        listed = service.get("/v1/tasks").raise_for_status().json()["items"]
    found = next(one for one in listed if one["name"] == kind)
    return found["example"], [one["name"] for one in found["fields"] if one["name"] != "type"]


def submit(page: Page, store: Store, job: dict[str, Any], fields: list[str]) -> None:
    """Write a job in the form, submit it, and find all of it in the store."""
    page.goto("/#/new")
    write(page, job, fields)
    expect(page.get_by_text("No problems found")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(job["name"])
    (stored,) = store.list_jobs().items
    assert stored.state == "queued"
    task = {name: stored.spec["task"][name] for name in job["task"]}
    for name, part in job["task"].get("tasks", {}).items():
        assert task["tasks"][name].items() >= part.items()
    assert task | {"tasks": None} == job["task"] | {"tasks": None}
    assert stored.spec["objectives"] == job["objectives"]
    for section in ("space", "budget"):
        assert stored.spec[section].items() >= job[section].items()


@pytest.mark.slow
@pytest.mark.parametrize("kind", short_form(types(), ("multi-task", "preference", "question-answering")))
def test_a_job_of_the_type_is_written_by_its_schema_and_queued(
    page: Page, server: Server, token: str, store: Store, data_root: Path, kind: str
) -> None:
    job, fields = example(server, token, kind)
    if (smaller := FETCHED.get(job["task"].get("model"))) is not None:
        job["task"]["model"] = str(smaller(data_root / "model"))
    submit(page, store, job, fields)


@pytest.mark.slow
def test_a_domain_that_is_left_out_is_written_in_the_form(page: Page, server: Server, token: str, store: Store) -> None:
    job, fields = example(server, token, DEFAULT_TYPE)
    job["task"] |= {"domain": "part", "test": "domain:tkinter"}
    job["objectives"] = [{"metric": "worst_domain", "direction": "maximize"}]
    submit(page, store, job, fields)
