"""The snippet of a program's trial runs it again, by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.jobs.search.program_snippets import program_snippet
from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from tests.workers.programs_job import COUNTING

ROOT = Path(__file__).resolve().parents[4]


def snippet(**task: Any) -> str:
    spec = JobSpec.model_validate(
        {
            "name": "counting",
            "task": {"type": "program", **task},
            "space": {"parameters": [{"name": "step", "type": "int", "low": 1, "high": 8}]},
            "objectives": [{"metric": "count", "direction": "maximize"}],
            "budget": {"epochs": 2},
        }
    )
    trial = SimpleNamespace(id="trial", config={"step": 3, "bias": True}, seed=7, metrics={"count": 6.0})
    return program_snippet(spec, cast(Trial, trial))


def run(code: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("executable", [False, True], ids=["a function", "an executable"])
def test_the_snippet_runs_the_program_again(tmp_path: Path, executable: bool) -> None:
    if executable:
        file = tmp_path / "train"
        file.write_text('#!/bin/sh\necho "$PEFTSEARCH_ALONE"; echo "$1"\n')
        file.chmod(0o700)
        told, argument = run(snippet(program=str(file), arguments=["--step={step}"]), tmp_path).splitlines()
        assert json.loads(told) == {"config": {"step": 3, "bias": True}, "epochs": 2.0, "seed": 7}
        assert argument == "--step=3"
        return
    file = tmp_path / "train.py"
    file.write_text(COUNTING)
    reports = run(snippet(program=str(file), function="train"), tmp_path).splitlines()
    assert [json.loads(one)["metrics"] for one in reports] == [{"count": 3.0}, {"count": 6.0}]


def test_the_snippet_names_the_file_of_a_built_in_program() -> None:
    assert "[sys.executable, '" in snippet(program="builtin:spiking")
    assert "spiking.py']" in snippet(program="builtin:spiking")
