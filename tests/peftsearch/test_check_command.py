"""`peftsearch check`: a job file looked at, nothing submitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.usefixtures("url")


def test_a_sound_file_tells_its_data_time_and_memory(run: Any, job_file: Path, client: Any) -> None:
    done = run("check", str(job_file))
    assert done.code == 0, done.err
    assert "the job would be taken" in done.out
    assert "memory of a trial: base 87 MiB" in done.out
    assert "time: not known" in done.out
    assert "train" in done.out
    assert list(client.jobs()) == []
    found = run("check", str(job_file), "--json").json
    assert found == client.check(yaml.safe_load(job_file.read_text()) | {"task": _absolute(job_file)})
    assert found["memory"]["training_mb_high"] > 0


def test_problems_are_all_told_and_end_with_2(run: Any, job_file: Path) -> None:
    spec = yaml.safe_load(job_file.read_text())
    job_file.write_text(yaml.safe_dump(spec | {"optimizer": {"name": "gpp"}, "nonsense": 1}))
    done = run("check", str(job_file))
    assert done.code == 2
    assert "optimizer.name: " in done.err
    assert "nonsense: " in done.err
    assert "would be taken" not in done.out


def _absolute(file: Path) -> dict[str, Any]:
    task: dict[str, Any] = yaml.safe_load(file.read_text())["task"]
    return task | {"train": str(file.parent / task["train"])}
