"""A winner is taken home as a whole model, from its trial's drawer: made by the service, with its progress."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.api.routes import exports
from service.store.store import Store
from tests.service.answering import questions
from tests.web.search import Search
from tests.web.talking_job import talking_job

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that answer find the stand-ins of tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))


@pytest.mark.slow
def test_the_merged_model_is_made_and_comes_as_a_checkpoint(
    page: Page, store: Store, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = talking_job(store, data_root).job.id
    page.goto(f"/#/jobs/{job}?trial=0")
    drawer = page.get_by_role("complementary", name="Trial 0")
    button = drawer.get_by_role("button", name="Download merged model")
    with monkeypatch.context() as patch:
        patch.setattr(exports, "merge_trial", questions.fold_on)
        button.click()
        expect(drawer.get_by_role("status").filter(has_text="folding")).to_have_text(f"folding {job}-0…")
        drawer.get_by_role("button", name="Stop").click()
        expect(button).to_be_focused()
        expect(drawer.get_by_role("alert")).to_have_count(0)
    with page.expect_download() as given:
        button.click()
    assert given.value.suggested_filename == f"{job}-0-merged.zip"
    with zipfile.ZipFile(given.value.path()) as archive:
        assert any(name.endswith(".safetensors") for name in archive.namelist())
        assert json.loads(archive.read("config.json"))["architectures"] == ["LlamaForCausalLM"]
    stages = page.get_by_role("list", name="Stages").get_by_role("listitem")
    expect(stages.filter(has_text=re.compile("^export"))).to_contain_text("trial 0")


@pytest.mark.slow
def test_a_method_that_does_not_merge_is_refused_by_name(page: Page, search: Search) -> None:
    page.expected_errors = ("409",)  # type: ignore[attr-defined]
    search.begin()
    trial = search.complete(search.suggest({"method": "dept"}), 0.7, 100, adapter=True)
    page.goto(f"/#/jobs/{search.job.id}?trial={trial.number}")
    drawer = page.get_by_role("complementary", name=f"Trial {trial.number}")
    drawer.get_by_role("button", name="Download merged model").click()
    expect(drawer.get_by_role("alert")).to_contain_text("of the method dept, which is no change of weights")
    expect(drawer.get_by_role("button", name="Download merged model")).to_be_enabled()
