"""A winner is tried on its job's page: a prompt, and the answers of base and trial side by side, by real models."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from service.api.routes import chat
from service.store.store import Store
from tests.service.answering import questions
from tests.web.search import Search
from tests.workers.tiny_language_model import save_tiny_llama
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Assignment, Outcome
from workers.running.trial import train
from workers.running.workbench import Workbench

pytestmark = pytest.mark.browser
CONFIG = {"method": "lora", "rank": 4, "learning_rate": 0.02, "batch_size": 8, "warmup_ratio": 0.0}


def trained_adapter(data_root: Path, task: dict[str, object]) -> Artifact:
    """The adapter of a tiny language model, in the service's store."""
    bench = Workbench(data_root / "home", ArtifactStore(str(data_root / "home" / "artifacts")))
    assignment = Assignment.model_validate(
        {"trial_id": "j-0", "attempt": 1, "task": task, "config": CONFIG, "epochs": 1, "seed": 0}
        | {"measure_latency": False, "precision": "fp32"}
    )
    outcome = train(assignment, bench, lambda _report: "continue")
    assert outcome.adapter is not None, outcome.reason
    return outcome.adapter


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that answer find the stand-ins of tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))


@pytest.fixture
def job(store: Store, data_root: Path) -> str:
    """A job with a trial that has an adapter: its id."""
    save_tiny_llama(data_root / "model")
    rows = [{"prompt": f"{number}:", "completion": " the cat"} for number in range(40)]
    (data_root / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = {"model": str(data_root / "model"), "train": str(data_root / "rows.jsonl")}
    task = {"type": "causal-lm", "validation": 0.2, "max_length": 64, **files}
    artifacts = ArtifactStore(str(data_root / "home" / "artifacts"))
    objectives = [{"metric": "loss", "direction": "minimize"}]
    search = Search(store, artifacts, data_root, task=task, objectives=objectives)
    search.start()
    claimed = search.claim(search.suggest(CONFIG))
    adapter = trained_adapter(data_root, task)
    ended = {"trial_id": claimed.id, "attempt": claimed.attempt, "status": "completed", "adapter": adapter}
    store.finish_trial(Outcome.model_validate(ended | {"metrics": {"loss": 1.0}}))
    return search.job.id


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
        process.wait(120)  # the work ends with the question
    expect(stage).to_have_count(0)
    expect(chatting.get_by_role("alert")).to_have_count(0)
    page.get_by_label("Prompt").fill("3:")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("region", name="Trial 0")).to_contain_text("tokens")
