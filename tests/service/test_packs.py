"""A job that packs its trials, through the doors of the service: real Ray, real (tiny) training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.serving import job_when, serving
from tests.service.tiny_task import tiny_job

pytestmark = [pytest.mark.slow, pytest.mark.ray]


def test_a_job_packs_what_can_be_packed_and_trains_the_rest_alone(tmp_path: Path) -> None:
    parameters = [
        {"type": "int", "name": "rank", "low": 1, "high": 8},
        {"type": "float", "name": "learning_rate", "low": 1e-4, "high": 1e-2, "scale": "log"},
    ]
    job_file = tiny_job(
        tmp_path,
        trials=8,
        space={"method": "lora", "parameters": parameters, "strategies": ["none", "spsa_gc"]},
        resources={"pack": 4, "concurrency": 4, "cpus_per_trial": 1},
    )
    with serving(tmp_path / "home", f"--data-root={tmp_path}") as service, service.client() as client:
        job = client.submit(job_file)
        assert job_when(client, job.id).state == "completed"
        trials = client.trials(job.id)
    assert [trial.state for trial in trials] == ["completed"] * 8
    assert {trial.engine for trial in trials} == {"fast"}
    companions = {trial.id: trial.environment.get("packed_with", "") for trial in trials}
    packed = {trial_id: names.split(", ") for trial_id, names in companions.items() if names}
    apart = {trial.id for trial in trials if trial.config.get("strategy") == "spsa_gc"}
    assert packed
    assert not apart & packed.keys()
    for trial_id, others in packed.items():
        assert trial_id not in others
        assert all(trial_id in packed[other] for other in others)
