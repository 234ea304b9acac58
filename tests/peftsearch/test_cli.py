"""Every verb of the command line against a running server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from peftsearch.cli.output import engine_of
from peftsearch.results import Trial
from service.store.records import NewTrial, Resumption
from tests.patience import wait_until

Spec = dict[str, Any]
pytestmark = pytest.mark.usefixtures("url")


@pytest.fixture
def job_id(client: Any, spec: Spec, worker: Any) -> str:
    """A running job with a reference trial off the front, two trials on it and one queued."""
    id: str = client.submit(spec).id
    worker.start(id)
    worker.suggest(id, 1, origin="reference", label="literature-default")
    worker.complete(id, accuracy=0.6, params=400)
    worker.suggest(id, 3)
    worker.complete(id, 0.7, 300)
    worker.complete(id, 0.9, 21_900, adapter=True)
    return id


def test_submit_resolves_paths_from_the_job_file(
    run: Any, job_file: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("submit", str(job_file), "--json")
    assert done.code == 0, done.err
    assert done.json["spec"]["task"]["train"] == str(data_root / "train.csv")
    assert done.json["spec"]["task"]["model"] == "builtin:minilm"
    plain = run("submit", str(job_file))
    assert (plain.code, plain.out.startswith("submitted j")) == (0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["job.yaml", "No such file"]),
        ("a: [", ["job.yaml", "YAML"]),
        ("- 1", ["job.yaml", "list", "JobSpec"]),
        ("name: x", ["task", "required"]),
        ("name: x\nbudget: {trials: 3}\nseed: 1\nbudget: {trials: 40}", ["`budget`", "lines 2 and 4"]),
    ],
)
def test_bad_job_files_exit_with_2(run: Any, job_file: Path, text: str | None, words: list[str]) -> None:
    job_file.unlink() if text is None else job_file.write_text(text)
    done = run("submit", str(job_file))
    assert done.code == 2
    assert all(word in done.err for word in words), done.err
    assert run("jobs", "--json").json == []


def test_refusals_name_every_field(run: Any, job_file: Path) -> None:
    job_file.write_text(job_file.read_text().replace("accuracy", "acuracy").replace("train.csv", "trian.csv"))
    done = run("submit", str(job_file))
    assert done.code == 2
    assert "objectives.0.metric" in done.err
    assert "did you mean 'accuracy'" in done.err
    assert "task.train" in done.err


@pytest.mark.slow
def test_what_cannot_be_reached_or_written_is_said_in_one_line(
    run: Any, job_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "a file"
    taken.write_text("in the way")
    blocked = run("export", f"{job_id}-2", str(taken))
    assert (blocked.code, blocked.err.count("\n")) == (2, 1)
    assert str(taken) in blocked.err
    monkeypatch.setenv("PEFTSEARCH_URL", "http://127.0.0.1:9")
    for command in (("export", f"{job_id}-2", str(tmp_path / "adapter")), ("trials", job_id), ("watch", job_id)):
        done = run(*command)
        assert (done.code, done.err.count("\n")) == (1, 1), done.err
        assert "no peftsearch server answers at http://127.0.0.1:9" in done.err


def test_one_objective_makes_no_front(run: Any, client: Any, spec: Spec, worker: Any) -> None:
    id: str = client.submit(spec | {"objectives": spec["objectives"][:1]}).id
    assert "no trial has completed yet" in run("pareto", id).out
    worker.start(id)
    worker.suggest(id, 1)
    worker.complete(id, 0.7, 300)
    table = run("pareto", id).out
    assert ("Best trial" in table, "Pareto" in table) == (True, False)


def test_jobs_and_trials_as_tables_and_json(run: Any, job_id: str) -> None:
    assert [job["id"] for job in run("jobs", "--json").json] == [job_id]
    assert job_id in run("jobs").out
    trials = run("trials", job_id, "--json").json
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    sorted_trials = run("trials", job_id, "--sort", "accuracy", "--descending", "--state", "completed", "--json").json
    assert [trial["metrics"]["accuracy"] for trial in sorted_trials] == [0.9, 0.7, 0.6]
    table = run("trials", job_id).out
    assert "literature-default" in table
    assert "21,900" in table


def test_pareto_marks_the_reference_trials(run: Any, job_id: str) -> None:
    front = run("pareto", job_id, "--json").json
    assert [trial["metrics"]["accuracy"] for trial in front["items"]] == [0.9, 0.7]
    assert [trial["label"] for trial in front["reference"]] == ["literature-default"]
    table = run("pareto", job_id).out
    assert table.index("Pareto front") < table.index("Reference trials off the front") < table.index("literature-defa")


@pytest.mark.slow
def test_best_answers_with_configuration_objectives_and_snippet(run: Any, job_id: str) -> None:
    done = run("best", job_id, "--where", "trainable_params<=20000")
    assert done.code == 0
    for word in (f"{job_id}-1", "accuracy 0.7", "trainable_params 300", "rank=1", "LoraConfig", "learning_rate=0.001"):
        assert word in done.out
    assert run("best", job_id, "--json").json["trial"]["id"] == f"{job_id}-2"
    cheap = run("best", job_id, "--minimize", "trainable_params", "--json").json
    assert cheap["objectives"] == {"accuracy": 0.7, "trainable_params": 300}
    nothing = run("best", job_id, "--where", "accuracy>0.99")
    assert (nothing.code, "accuracy>0.99" in nothing.err) == (2, True)
    assert run("best", job_id, "--where", "accuracy is high").code == 2


def test_lineage_tells_how_the_weights_came_about(run: Any, client: Any, spec: Spec, worker: Any) -> None:
    id = client.submit(spec).id
    worker.start(id)
    worker.suggest(id, 2)
    weak, strong = worker.pause(id), worker.pause(id)
    worker.store.resume_trials(id, [Resumption(weak.id, 1, strong.id, strong.config | {"learning_rate": 0.5})])
    shown = run("lineage", weak.id).out.splitlines()
    assert [strong.id in shown[1], weak.id in shown[2], "learning_rate=0.5" in shown[2]] == [True] * 3
    found = run("lineage", weak.id, "--json").json
    assert [one["trial_id"] for one in found["stretches"]] == [strong.id, weak.id]
    assert found["exploits"][0]["donor_id"] == strong.id


def test_export_unpacks_the_adapter(run: Any, job_id: str, tmp_path: Path) -> None:
    target = tmp_path / "out" / "adapter"
    done = run("export", f"{job_id}-2", str(target))
    assert done.code == 0
    assert (target / "adapter_config.json").read_text() == '{"r": 8}'
    assert (target / "adapter_model.safetensors").stat().st_size == 300_000
    card = (target / "README.md").read_text()
    assert f"**{job_id}-2** (this one)" in card
    assert all(title in card for title in ("## Search", "## Data", "## Front"))
    assert run("export", f"{job_id}-2", str(target)).code == 0
    assert (target / "README.md").read_text() == card
    missing = run("export", f"{job_id}-1", str(tmp_path / "none"))
    assert missing.code == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_what_cannot_be_merged_is_said_and_leaves_nothing(run: Any, job_id: str, tmp_path: Path) -> None:
    done = run("export", f"{job_id}-2", str(tmp_path / "merged"), "--merged")
    assert (done.code, "adapter_config.json" in done.err) == (1, True), done.err
    assert list(tmp_path.glob("merged*")) == []


def test_steering(run: Any, job_id: str) -> None:
    def state(*command: str) -> str:
        found: str = run(*command, "--json").json["state"]
        return found

    assert state("pause", job_id) == "paused"
    assert state("resume", job_id) == "queued"
    assert state("cancel", job_id) == "cancelled"
    assert run("pause", "jnone").code == 2


def test_cancel_extend_clone_delete(run: Any, job_id: str) -> None:
    assert run("cancel", job_id, "--json").json["state"] == "cancelled"
    refused = run("resume", job_id)
    assert (refused.code, "cancelled" in refused.err) == (1, True)
    extended = run("extend", job_id, "--trials", "3", "--json").json
    assert (extended["state"], extended["progress"]["trials_total"]) == ("queued", 9)
    clone = run("clone", job_id, "--name", "copy", "--seed", "7", "--json").json
    assert (clone["name"], clone["spec"]["seed"]) == ("copy", 7)
    run("cancel", job_id)
    assert run("delete", job_id, "--yes").code == 0
    assert [job["id"] for job in run("jobs", "--json").json] == [clone["id"]]


@pytest.mark.parametrize(
    ("architecture", "named"), [("LlamaForCausalLM", True), ("BertForSequenceClassification", False)]
)
@pytest.mark.usefixtures("url")
def test_only_a_language_model_is_offered_to_its_servers(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, architecture: str, named: bool
) -> None:
    def merge(_adapter: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))

    monkeypatch.setattr("peftsearch.cli.exports.checkpoints.merge", merge)
    monkeypatch.setattr("peftsearch.cli.exports._with_card", lambda _client, _trial, folder: folder)
    done = run("export", "j-1", str(tmp_path / "model"), "--merged")
    assert done.code == 0, done.err
    assert ("vllm serve" in done.out) == named


def test_watch_follows_to_the_end(run: Any, client: Any, spec: Spec, worker: Any, store: Any) -> None:
    job_id = client.submit(spec).id
    worker.start(job_id)

    def train() -> None:
        time.sleep(0.5)
        worker.suggest(job_id, 2)
        worker.complete(job_id, 0.8, 500)
        worker.complete(job_id, 0.7, 300)
        time.sleep(0.5)
        store.set_job_state(job_id, "completed")

    thread = threading.Thread(target=train)
    thread.start()
    done = run("watch", job_id)
    thread.join()
    assert done.code == 0
    assert "#0    completed" in done.out
    assert "accuracy 0.8" in done.out
    assert "● on the front" in done.out
    assert "2 of 6 trials (33% trained)   best: #0 accuracy 0.8  trainable_params 500   front: 2" in done.out
    assert f"job {job_id} completed" in done.out
    assert "Pareto front" in done.out


@pytest.mark.slow
def test_confirmations_are_told_apart_from_the_search_and_promises_from_none(
    run: Any, client: Any, spec: Spec, worker: Any, store: Any
) -> None:
    space = {"method": "lora", "parameters": [{"type": "int", "name": "rank", "low": 1, "high": 64}]}
    confirmed = spec | {"space": space, "confirm": {"seeds": 2}, "task": spec["task"] | {"test": 0.25}}
    job_id = client.submit(confirmed | {"budget": {"trials": 12, "epochs": 1}}).id
    worker.start(job_id)
    ranks = list(range(2, 62, 5))
    store.add_trials(job_id, [NewTrial({"method": "lora", "rank": rank}, "optimizer", 1) for rank in ranks])
    for rank in ranks:
        worker.complete(job_id, 0.9 - (rank - 32) ** 2 / 5000, 1000.0 * rank)
    assert "12 of 12 trials (100% trained)" in run("jobs").out
    new = [NewTrial({"method": "lora", "rank": 32}, "confirmation", seed, None, f"{job_id}-6") for seed in range(2)]
    store.add_trials(job_id, new)
    worker.complete(job_id, 0.88, 32_000.0)
    assert "12 of 12 trials (93% trained), 1 of 2 confirmations" in run("jobs").out
    early = run("confirmation", job_id).out
    assert "Promised means: 1; none of them has the two seeds yet" in early
    worker.complete(job_id, 0.89, 32_000.0)
    assert "of 1 means over 2 seeds on `test` lie where the search promised" in run("confirmation", job_id).out


def test_watching_a_job_that_failed_says_why_and_exits_with_1(run: Any, client: Any, spec: Spec, store: Any) -> None:
    job_id = client.submit(spec).id
    store.add_event(job_id, "note", {"message": "waiting for resources: a trial needs 8 cores"})
    store.set_job_state(job_id, "failed", "every trial ran out of memory")
    done = run("watch", job_id)
    assert done.code == 1
    assert "waiting for resources: a trial needs 8 cores" in done.out
    assert "every trial ran out of memory" in done.out


def test_submit_and_watch_in_one(run: Any, job_file: Path, client: Any) -> None:
    def cancel() -> None:
        client.cancel(wait_until(client.jobs, "the job is there")[0].id)

    thread = threading.Thread(target=cancel)
    thread.start()
    done = run("submit", str(job_file), "--watch")
    thread.join()
    assert done.code == 1
    assert "cancelled" in done.out


def test_catalogues(run: Any) -> None:
    assert {"lora", "autopeft"} <= {space["name"] for space in run("spaces", "--json").json}
    assert "rank" in run("spaces").out
    assert {"head", "lora"} <= {method["name"] for method in run("methods", "--json").json}
    assert "low-rank" in run("methods").out
    assert "text-classification" in {task["name"] for task in run("tasks", "--json").json}
    assert "f1_macro" in run("tasks").out
    assert {"lisa", "galore"} <= {strategy["name"] for strategy in run("strategies", "--json").json}


def test_doctor_finds_a_healthy_installation(run: Any) -> None:
    findings = {finding["what"]: finding["ok"] for finding in run("doctor", "--json").json}
    assert findings.items() >= {"python": True, "server": True, "store": True, "token": True}.items()
    assert "ok" in run("doctor").out


@pytest.mark.slow
def test_an_absent_server_is_named(run: Any) -> None:
    gone = "http://127.0.0.1:9"
    done = run("jobs", "--url", gone)
    assert done.code == 1
    assert gone in done.err
    assert "peftsearch serve" in done.err
    doctor = run("doctor", "--url", gone)
    assert doctor.code == 1
    assert "wrong" in doctor.out


def test_usage_errors_exit_with_2(run: Any) -> None:
    assert run("jobs", "--limit", "0").code == 2
    assert run("best").code == 2
    assert run("nonsense").code == 2
    assert run("--help").code == 0


def test_the_installed_command_answers() -> None:
    done = subprocess.run([sys.executable, "-m", "peftsearch", "jobs", "--json"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(
    ("engine", "reason", "companions", "shown"),
    [
        (None, None, None, ""),
        ("fast", None, None, "fast"),
        ("fast", None, "j-1, j-2", "fast (packed with 2)"),
        ("reference", "the job asks for it", None, "reference (the job asks for it)"),
    ],
)
def test_the_table_of_trials_says_which_engine_and_why(
    engine: str | None, reason: str | None, companions: str | None, shown: str
) -> None:
    times = {"created_at": "2026-01-01T00:00:00Z", "started_at": None, "finished_at": None}
    names = {"id": "j-0", "job_id": "j", "number": 0, "state": "completed", "origin": "optimizer", "label": None}
    measured = {"config": {}, "seed": 0, "attempt": 1, "metrics": {}, "on_front": False, "has_adapter": False}
    environment = {"packed_with": companions} if companions else {}
    told = {"engine": engine, "engine_reason": reason, "reason": None, "worker_id": None, "environment": environment}
    assert engine_of(Trial.from_json({**times, **names, **measured, **told, "confirms": None})) == shown


def test_jobs_and_trials_are_remarked_upon_and_found(run: Any, job_id: str) -> None:
    assert "tags: none" in run("remark", job_id).out
    assert "tags: base, warm" in run("remark", job_id, "--tag", "warm", "--tag", "base").out
    said = run("remark", job_id, "--untag", "warm", "--note", "rank 4 next", "--json").json
    assert (said["tags"], said["note"]) == (["base"], "rank 4 next")
    assert [job["id"] for job in run("jobs", "--tag", "base", "--text", "RANK 4", "--json").json] == [job_id]
    assert "no such job" in run("jobs", "--state", "failed").out
    assert "tags: odd" in run("remark", f"{job_id}-1", "--tag", "odd").out
    assert [trial["number"] for trial in run("trials", job_id, "--tag", "odd", "--json").json] == [1]
    assert "note: none" in run("remark", job_id, "--note", "").out
