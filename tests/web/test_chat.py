"""A winner is tried on its job's page: a prompt, and the answers of base and trial side by side, by real models."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from service.api.routes import chat
from service.store.store import Store
from tests.patience import PATIENCE_S
from tests.service.answering import questions
from tests.web.talking_job import talking_job

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that answer find the stand-ins of tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))


@pytest.fixture
def job(store: Store, data_root: Path) -> str:
    """A job with a trial that has an adapter: its id."""
    return talking_job(store, data_root).job.id


@pytest.mark.slow
def test_a_prompt_is_answered_by_base_and_winner(page: Page, job: str) -> None:
    page.goto(f"/#/jobs/{job}?tab=chat")
    expect(page.get_by_role("button", name="Ask")).to_be_disabled()
    page.get_by_label("Prompt").fill("3:")
    expect(page.get_by_role("checkbox", name="Trial 0")).to_be_checked()
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("region", name="Base")).to_contain_text("tokens")
    expect(page.get_by_role("region", name="Trial 0")).to_contain_text("tokens")
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()


@pytest.mark.slow
def test_an_answer_is_stopped_while_it_streams_and_another_one_asked_for(
    page: Page, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted, chatting = tmp_path / "process", page.locator("form.chat")
    stage = chatting.get_by_role("status")
    page.goto(f"/#/jobs/{job}?tab=chat")
    page.get_by_label("Prompt").fill(str(noted))
    with monkeypatch.context() as patch:
        patch.setattr(chat, "spoken", questions.talk_on)
        page.get_by_role("button", name="Ask").click()
        expect(stage).to_have_text("trial 0: the cat sat")
        process = psutil.Process(int(noted.read_text()))
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Ask")).to_be_enabled()
        process.wait(PATIENCE_S)  # the work ends with the question
    expect(stage).to_have_count(0)
    expect(chatting.get_by_role("alert")).to_have_count(0)
    page.get_by_label("Prompt").fill("3:")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("region", name="Trial 0")).to_contain_text("tokens")
