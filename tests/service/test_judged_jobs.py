"""Jobs with judges over HTTP through the real service: scores, judges that refuse or are silent, and a token that stays
where its operator put it. One service with Ray for all of it: what is looked at is what its processes leave behind."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peftsearch.errors import PeftsearchError
from tests.service.serving import Serving, job_when, serving
from tests.workers.judge_server import JudgeServer
from tests.workers.tiny_language_model import save_tiny_llama
from workers.outbound.tokens import TOKENS_FILE

TOKEN = "tok-Zm9ybHkwbmUtam9i"

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    save_tiny_llama(folder / "model")
    rows = [{"prompt": f"the cat {n}:", "completion": " sat on the mat"} for n in range(24)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def _judging(token: str | None) -> Iterator[JudgeServer]:
    server = JudgeServer()
    server.token = token
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def judge() -> Iterator[JudgeServer]:
    yield from _judging(TOKEN)


@pytest.fixture(scope="module")
def other() -> Iterator[JudgeServer]:
    """A judge that the operator gave no token for."""
    yield from _judging(None)


@pytest.fixture(scope="module")
def service(root: Path, judge: JudgeServer) -> Iterator[Serving]:
    home = root / "home"
    home.mkdir()
    (home / TOKENS_FILE).write_text(json.dumps({judge.at(""): TOKEN}))
    (home / TOKENS_FILE).chmod(0o600)
    with serving(home, f"--data-root={root}", "--judges=127.0.0.0/8") as started:
        yield started


def _job(root: Path, judges: list[dict[str, Any]], objective: str) -> dict[str, Any]:
    return {
        "name": f"judged by {objective}",
        "task": {
            "type": "causal-lm",
            "model": str(root / "model"),
            "train": str(root / "rows.jsonl"),
            "validation": 0.25,
            "max_length": 64,
            "generation": {"metrics": ["rouge_l"], "rows": 3, "max_new_tokens": 8},
            "judges": judges,
        },
        "space": {"preset": "lora-sft", "overrides": {"batch_size": {"value": 8}}},
        "objectives": [{"metric": objective, "direction": "maximize"}],
        "optimizer": {"name": "random"},
        "reference_trials": False,
        "budget": {"trials": 1, "epochs": 1},
    }


def test_judges_score_fail_and_are_silent_and_the_token_is_nowhere(
    service: Serving, root: Path, judge: JudgeServer, other: JudgeServer
) -> None:
    helpful = {"type": "http", "name": "helpful", "url": judge.url}
    scornful = {"type": "http", "name": "scornful", "url": judge.at("/echo")}
    silent = {"type": "http", "name": "silent", "url": judge.at("/silent"), "timeout": 1, "patience": 0}
    strange = {"type": "http", "name": "strange", "url": other.url}
    with service.client() as client:
        judged = client.submit(_job(root, [helpful, scornful, silent, strange], "helpful"))
        needy = client.submit(_job(root, [scornful], "scornful"))
        with pytest.raises(PeftsearchError, match=r"task.judges.0.url.*--judges"):
            client.submit(_job(root, [helpful | {"url": "http://10.0.0.1/score"}], "helpful"))
        assert job_when(client, judged.id).state == "completed"
        (trial,) = client.trials(judged.id)
        assert (trial.state, trial.reason) == ("completed", None)
        assert 0 <= trial.metrics["helpful"] <= 1
        assert {"helpful", "strange"} <= trial.metrics.keys()
        assert not {"scornful", "silent"} & trial.metrics.keys()
        told = trial.environment
        assert "you sent Bearer ***" in told["unmeasured_scornful"]
        assert "ReadTimeout" in told["unmeasured_silent"]
        job_when(client, needy.id)
        (failed,) = client.trials(needy.id)
        assert failed.state == "failed"
        assert "judge_failed: scornful" in str(failed.reason)
        kept = client.export(trial.id, root / "exported")
    assert f"Bearer {TOKEN}" in judge.authorizations
    assert set(other.authorizations) == {None}
    found = [file for folder in (root / "home", kept) for file in _holding(folder, TOKEN.encode())]
    assert found == [root / "home" / TOKENS_FILE]


def _holding(folder: Path, wanted: bytes) -> Iterator[Path]:
    """Files of a folder, database, logs and artifacts among them, in which some bytes stand."""
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            if file.is_file() and wanted in file.read_bytes():
                yield file
