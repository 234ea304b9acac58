"""Models of the hub are looked at when they are submitted, by the headers of their weights (on a hub of our own)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.api.fake_hub import fake_hub
from tests.service.tiny_task import write_model, write_rows

_SUBMIT = """
import json, sys
from service.jobs.admission import admit
from service.errors import BadInput
from service.settings import Settings
home, root, spec = sys.argv[1:]
settings = Settings.read({"home": home, "data_roots": [root], "no_auth": True}, {})
try:
    print(json.dumps({"model": admit(json.loads(spec), settings).task.model}))
except BadInput as error:
    print(json.dumps({one.field: one.message for one in error.errors}))
"""


@pytest.fixture
def submit(tmp_path: Path, spec: dict[str, Any]) -> Any:
    """Submits a job on a model of the hub in `tmp_path / hub`, in a process of its own: addresses are read once."""
    data = tmp_path / "words"
    data.mkdir()
    write_rows(data / "words.csv", 100, 1)

    def submitted() -> tuple[dict[str, str], list[str]]:
        job = spec | {"task": {"model": "owner/name", "train": "words.csv", "max_length": 32}}
        with fake_hub(tmp_path / "hub") as (url, asked):
            environment = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
            command = [sys.executable, "-c", _SUBMIT, str(tmp_path / "home"), str(data), json.dumps(job)]
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        answer: dict[str, str] = json.loads(ended.stdout)
        return answer, asked

    return submitted


@pytest.mark.slow
def test_a_hub_model_that_agrees_is_admitted_without_fetching_its_weights(tmp_path: Path, submit: Any) -> None:
    write_model(tmp_path / "hub" / "owner" / "name")
    answer, asked = submit()
    assert answer == {"model": "hub:owner/name"}
    assert any(path.endswith("tokenizer.json") for path in asked)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.slow
def test_a_hub_model_whose_config_is_another_is_refused(tmp_path: Path, submit: Any) -> None:
    config = write_model(tmp_path / "hub" / "owner" / "name") / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_size": 64}))
    answer, _ = submit()
    assert "[23, 64] by config.json and [23, 32] in the checkpoint" in answer["task.model"]


@pytest.mark.slow
def test_a_hub_model_of_pickles_is_refused(tmp_path: Path, submit: Any) -> None:
    (write_model(tmp_path / "hub" / "owner" / "name") / "model.safetensors").rename(
        tmp_path / "hub" / "owner" / "name" / "pytorch_model.bin"
    )
    answer, _ = submit()
    assert "a model saved as safetensors (no pickles)" in answer["task.model"]
