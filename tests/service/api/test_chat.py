"""One prompt, asked of trials and their base: real models in the process that answers, bounded and refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from fastapi.testclient import TestClient

from service.api.routes import chat
from service.settings import Settings
from service.store.store import Store
from tests.patience import PATIENCE_S
from tests.service.answering import questions
from tests.service.api.talking_job import talking_job
from tests.workers.tiny_language_model import tiny_llama, tiny_tokenizer
from workers.generation.answers import answer
from workers.generation.prompts import prompt_of
from workers.generation.settings import GenerationSettings

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that answer find the stand-ins of tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))


@pytest.fixture
def job(api: TestClient, store: Store, settings: Settings) -> dict[str, str]:
    """A job with a trial that has trained, and one that waits: their ids."""
    return talking_job(api, store, settings)


@pytest.mark.slow
def test_base_and_trial_answer_side_by_side(api: TestClient, job: dict[str, str]) -> None:
    body = {"trials": [job["trained"]], "prompt": "3:", "max_new_tokens": 6}
    with api.stream("POST", f"/v1/jobs/{job['job']}/chat", json=body, headers=EVENTS) as response:
        assert response.status_code == 200
        events = [block.split("\n") for block in "".join(response.iter_text()).strip().split("\n\n")]
    assert [kind for kind, _ in events][-1] == "event: answer", events[-1]
    base, trial = json.loads(events[-1][1].removeprefix("data: "))["answers"]
    tokenizer = tiny_tokenizer()
    ids = prompt_of([{"role": "user", "content": "3:"}], tokenizer)
    (alone,) = answer(tiny_llama(), tokenizer, [ids], GenerationSettings(max_new_tokens=6))
    assert base == {
        "trial": None,
        "number": None,
        "text": alone.text,
        "tokens": alone.tokens,
        "finished": alone.finished,
    }
    assert (trial["trial"], trial["number"]) == (job["trained"], 0)
    assert trial["tokens"] <= 6
    assert any("loading" in data for _, data in events)


def test_what_cannot_answer_is_refused_before_anything_is_loaded(
    api: TestClient, job: dict[str, str], spec: dict[str, Any]
) -> None:
    def asked(job_id: str, **body: Any) -> Any:
        return api.post(f"/v1/jobs/{job_id}/chat", json={"prompt": "hello", "trials": [job["trained"]], **body})

    assert asked(job["job"], trials=[job["waiting"]]).status_code == 409
    assert asked(job["job"], trials=["absent"]).status_code == 404
    assert asked(job["job"], trials=[]).status_code == 422
    assert asked(job["job"], prompt="").json()["errors"][0]["field"] == "prompt"
    assert asked(job["job"], max_new_tokens=100_000).json()["errors"][0]["field"] == "max_new_tokens"
    assert asked(job["job"], trials=[job["trained"]] * 5).json()["errors"][0]["field"] == "trials"
    other = api.post("/v1/jobs", json=spec).json()["id"]
    assert "other models write nothing" in asked(other).text


@pytest.mark.slow
def test_an_answer_that_streams_is_stopped_and_the_next_question_is_answered(
    served: httpx.Client, job: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noted, path = tmp_path / "process", f"/v1/jobs/{job['job']}/chat"
    body = {"trials": [job["trained"]], "prompt": str(noted), "max_new_tokens": 6}
    with monkeypatch.context() as patch:
        patch.setattr(chat, "spoken", questions.talk_on)
        with served.stream("POST", path, json=body, headers=EVENTS) as response:
            next(line for line in response.iter_lines() if "the cat sat" in line)
            process = psutil.Process(int(noted.read_text()))
        process.wait(PATIENCE_S)  # the work ends with the stream
    answered = served.post(path, json=body | {"prompt": "3:"})
    assert [one["number"] for one in answered.json()["answers"]] == [None, 0]
