"""Commands that ask a job or a trial something, and the one that changes a running job's space."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from peftsearch import AsyncClient
from service.store.records import NewTrial

Spec = dict[str, Any]
RANKS = tuple(range(2, 62, 5))


@pytest.fixture
def job_id(client: Any, spec: Spec, worker: Any) -> str:
    """A running job whose accuracy grows with the rank and then falls."""
    id: str = client.submit(spec | {"budget": {"trials": 20, "epochs": 1}}).id
    worker.start(id)
    base = {"method": "lora", "alpha": 16, "dropout": 0.0, "targets": "qv", "top_layers": 2, "use_rslora": False}
    base |= {"use_dora": False, "learning_rate": 1e-3, "batch_size": 8, "weight_decay": 0.0, "warmup_ratio": 0.06}
    configs = [base | {"rank": rank, "schedule": "linear"} for rank in RANKS]
    worker.store.add_trials(id, [NewTrial(config, "optimizer", 1) for config in configs])
    for rank in RANKS:
        worker.complete(id, 0.9 - (rank - 30) ** 2 / 5000, 1000.0 * rank)
    return id


def test_the_snippet_of_a_trial(run: Any, client: Any, job_id: str) -> None:
    shown = run("snippet", f"{job_id}-3")
    assert (shown.code, "r=17" in shown.out, "TrainingArguments" in shown.out) == (0, True, True)
    assert run("snippet", f"{job_id}-3", "--json").json == {"snippet": client.snippet(f"{job_id}-3")}
    assert run("snippet", "nothing-1").code == 2


def test_the_reports_of_a_trial(run: Any, job_id: str) -> None:
    lines = run("reports", f"{job_id}-0").out.splitlines()
    assert lines[0].split() == ["attempt", "step", "epoch", "seconds", "loss"]
    assert [line.split()[1:] for line in lines[1:]] == [["1", "0.5", "1", "1"], ["2", "1", "2", "0.5"]]
    found = run("reports", f"{job_id}-0", "--json").json
    assert [(one["step"], one["metrics"]) for one in found] == [(1, {"loss": 1.0}), (2, {"loss": 0.5})]


def test_the_knee_of_the_front(run: Any, job_id: str) -> None:
    found = run("knee", job_id, "--json").json
    shown = run("knee", job_id).out
    assert found["trial"]["on_front"]
    assert f"trial {found['trial']['id']}" in shown
    assert f"rank={found['trial']['config']['rank']}" in shown


@pytest.mark.slow
def test_what_to_expect_of_a_configuration_never_run(run: Any, job_id: str) -> None:
    found = run("expectation", job_id, "--set", "rank=30", "--json").json
    assert found["config"]["rank"] == 30
    assert found["objectives"]["accuracy"]["value"] == pytest.approx(0.9, abs=0.02)
    from_first = run("expectation", job_id, "--like", f"{job_id}-0", "--json").json
    assert from_first["config"]["rank"] == RANKS[0]
    assert from_first["objectives"]["accuracy"]["value"] < found["objectives"]["accuracy"]["value"]
    shown = run("expectation", job_id, "--set", "rank=30").out
    assert "from 12 trials" in shown
    assert "from the configuration" in shown
    assert "rank=" in shown
    refused = run("expectation", job_id, "--set", "rank=1000")
    assert (refused.code, "config.rank" in refused.err) == (2, True)
    malformed = run("expectation", job_id, "--set", "rank")
    assert (malformed.code, "NAME=VALUE" in malformed.err) == (2, True)


def test_a_running_job_changes_its_space(run: Any, client: Any, job_id: str, tmp_path: Path) -> None:
    def overrides(*options: str) -> Any:
        done = run("space", job_id, *options, "--json")
        assert done.code == 0, done.err
        return done.json["overrides"]

    assert run("space", job_id, "--json").json == client.job(job_id).spec["space"]
    assert "preset: lora" in run("space", job_id).out
    assert overrides("--narrow", "rank=8:")["rank"] == {"low": 8}
    assert overrides("--narrow", "rank=:32")["rank"] == {"low": 8, "high": 32}
    changed = overrides("--freeze", "rank=16", "--choices", "targets=qv,all", "--choices", "batch_size=8,16")
    assert changed["rank"] == {"value": 16}
    assert changed["targets"] == {"choices": ["qv", "all"]}
    assert changed["batch_size"] == {"choices": [8, 16]}
    file = tmp_path / "changes.yaml"
    file.write_text(
        "parameters: [{type: float, name: label_smoothing, low: 0, high: 0.2}]\nimplied: {label_smoothing: 0}\n"
    )
    assert overrides(str(file), "--narrow", "learning_rate=1e-4:1e-3")["learning_rate"] == {"low": 1e-4, "high": 1e-3}
    assert client.job(job_id).spec["space"]["parameters"][0]["name"] == "label_smoothing"


def test_a_space_that_cannot_be_is_refused_and_nothing_changes(run: Any, client: Any, job_id: str) -> None:
    before = client.job(job_id).spec
    for options, words in (
        (("--narrow", "rank=500:"), "rank"),
        (("--narrow", "rank=8"), "LOW:HIGH"),
        (("--freeze", "colour=8"), "colour"),
        (("absent.yaml",), "absent.yaml"),
    ):
        done = run("space", job_id, *options)
        assert (done.code, words in done.err) == (2, True), done.err
    assert client.job(job_id).spec == before


def test_a_job_tells_its_stages_and_a_trial_what_goes_on_from_it(
    run: Any, client: Any, job_id: str, tmp_path: Path
) -> None:
    found = run("stages", job_id, "--json").json
    assert found == client.stages(job_id)
    lines = run("stages", job_id).out.splitlines()
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == [one["name"] for one in found]
    assert "not asked for" in next(line for line in lines if line.startswith("refine"))
    assert run("stages", "jnone").code == 2

    trial = f"{job_id}-3"
    again = tmp_path / "again.yaml"
    again.write_text(run("follow-up", trial).out)
    assert yaml.safe_load(again.read_text()) == client.follow_up(trial)
    assert run("follow-up", trial, "--how", "around", "--json").json == client.follow_up(trial, "around")
    assert run("submit", str(again)).code == 0
    assert run("follow-up", trial, "--how", "sideways").code == 2

    assert run("uses", trial, "--json").json == client.uses(trial) == []
    assert run("uses", "jnone-1").code == 2


def test_jobs_tell_how_far_they_have_come(run: Any, client: Any, job_id: str) -> None:
    (course,) = client.courses([job_id, "jnone"])
    assert run("courses", job_id, "jnone", "--json").json == [course]
    header, row = run("courses", job_id).out.splitlines()
    assert header.split() == ["job", "best", "25%", "50%", "75%", "100%"]
    assert row.split()[:2] == [job_id, course["metric"]]
    assert float(row.split()[-1]) == pytest.approx(course["values"][-1], abs=1e-3)


def test_the_asynchronous_twin_asks_the_same(url: str, client: Any, job_id: str) -> None:
    async def use() -> None:
        async with AsyncClient(url) as twin:
            assert await twin.snippet(f"{job_id}-3") == client.snippet(f"{job_id}-3")
            assert await twin.knee(job_id) == client.knee(job_id)
            assert await twin.stages(job_id) == client.stages(job_id)
            assert await twin.follow_up(f"{job_id}-3") == client.follow_up(f"{job_id}-3")
            assert await twin.uses(f"{job_id}-3") == client.uses(f"{job_id}-3")
            changed = await twin.change_space(job_id, {"overrides": {"rank": {"value": 8}}})
            assert changed.spec == client.job(job_id).spec

    asyncio.run(use())
