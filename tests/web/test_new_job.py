"""The editor of job files: what is written in it is not lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.search import Search

pytestmark = pytest.mark.browser


def test_a_text_survives_leaving_and_reloading_until_it_is_discarded(page: Page) -> None:
    page.goto("/#/new")
    editor = page.get_by_label("Job file (YAML)")
    expect(page.get_by_role("button", name="Start over")).to_have_count(0)
    editor.fill("name: half written")
    page.goto("/#/")
    page.goto("/#/new")
    expect(editor).to_have_value("name: half written")
    page.reload()
    expect(editor).to_have_value("name: half written")
    page.get_by_role("button", name="Start over").click()
    expect(editor).to_have_value(re.compile("builtin:minilm"))


def test_a_copied_job_is_sound_yaml_and_has_a_text_of_its_own(page: Page, search: Search) -> None:
    other = Search(search.store, search.artifacts, search.folder, name="sweep: lora")
    page.goto("/#/new")
    editor = page.get_by_label("Job file (YAML)")
    editor.fill("name: half written")
    page.goto(f"/#/new?from={other.job.id}")
    expect(editor).to_have_value(re.compile('^name: "sweep: lora"$', re.MULTILINE))
    page.goto("/#/new")
    expect(editor).to_have_value("name: half written")
