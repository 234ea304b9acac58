"""Credentials are in no log, no error, no event and no answer but the one that makes them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.errors import BadInput
from service.processes.logs import Form, log_to_stderr
from service.redaction import redacted
from service.serve import main
from service.store.store import open_store

OURS, THEIRS = "pfs_" + "x" * 43, "hf_" + "y" * 34
DATABASE = "postgresql://peft:s3cret@127.0.0.1:1/db?connect_timeout=1"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"GET /?token={OURS}&a=1", "GET /?token=[hidden]&a=1"),
        (f"401 with {THEIRS}.", "401 with [hidden]."),
        ("signed with whsec_" + "z" * 43, "signed with [hidden]"),
        (f"cannot open {DATABASE}", "cannot open postgresql://[hidden]@127.0.0.1:1/db?connect_timeout=1"),
        ("Authorization: Bearer abcdefghij", "Authorization: Bearer [hidden]"),
        ("s3://AKIAIOSFODNN7EXAMPLE:key@bucket", "s3://[hidden]@bucket"),
        (
            "https://example.org/a:b, pfs_ and hf_ and Bearer of news",
            "https://example.org/a:b, pfs_ and hf_ and Bearer of news",
        ),
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str, kept: str) -> None:
    assert redacted(text) == kept


@contextmanager
def _logging(form: Form, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level, written = root.handlers[:], root.level, io.StringIO()
    root.handlers[:] = []
    monkeypatch.setattr("sys.stderr", written)
    try:
        log_to_stderr("conductor", form)
        yield written
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@pytest.mark.parametrize("form", ["text", "json"])
def test_logs_and_their_tracebacks_hide_them(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with _logging(form, monkeypatch) as written:
        try:
            raise RuntimeError(f"no access to {DATABASE} with {THEIRS}")
        except RuntimeError:
            logging.getLogger("service.x").exception("lost %s", OURS)
    said = written.getvalue()
    assert "Traceback" in said
    for secret in (OURS, THEIRS, "s3cret"):
        assert secret not in said


def test_logs_in_json_name_job_and_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    with _logging("json", monkeypatch) as written:
        log = logging.getLogger("service.conductor.loop")
        log.warning("%s is no longer ours", "jabcdefghij2-17")
        log.info("job %s: %d trials so far", "jabcdefghij2", 3)
        log.info("ready")
    trial, job, neither = map(json.loads, written.getvalue().splitlines())
    assert (trial["job_id"], trial["trial_id"], trial["level"]) == ("jabcdefghij2", "jabcdefghij2-17", "warning")
    assert (job["job_id"], job["process"], "trial_id" in job) == ("jabcdefghij2", "conductor", False)
    assert neither.keys() == {"time", "level", "process", "logger", "message"}


def test_a_database_that_cannot_be_used_does_not_show_its_password(
    tmp_path: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.serve.log_to_stderr", lambda *_: None)  # the test run has a log of its own
    home = f"--home={tmp_path}"
    assert main([home, f"--database={DATABASE}", "--port=0"]) == 1
    assert main([home, "--database=mysql://u:s3cret@host/db", "--port=0"]) == 1
    assert main([home, "--database=//u:s3cret@host db", "--port=0"]) == 1
    assert main([home, "--hub=u:s3cret@x,!", "--port=0"]) == 2
    said = "".join(capsys.readouterr())
    assert said.count("serve: ") == 4
    assert "s3cret" not in said.replace("u:s3cret@x,!", "")  # not a URL: what was given for another setting
    with pytest.raises(BadInput) as refused:
        open_store("//u:s3cret@host db")
    assert "s3cret" not in str(refused.value)


def test_no_answer_event_or_entry_repeats_one(
    settings: Any, store: Any, artifacts: Any, spec: Any, worker: Any
) -> None:
    asking = settings.model_copy(update={"no_auth": False})
    secret, _ = store.create_token("root", ["admin"])
    with TestClient(create_app(asking, store, artifacts), headers={"Authorization": f"Bearer {secret}"}) as client:
        refused = client.post("/v1/jobs", json={**spec, "task": {"model": OURS, "train": f"https://u:s3cret@{THEIRS}"}})
        assert refused.status_code == 422
        wrong = client.get("/v1/jobs", headers={"Authorization": f"Bearer {OURS}"})
        assert wrong.status_code == 401
        job = store.create_job("outside", {**spec, "kind": "search", "resources": {"executor": "external"}}).id
        worker.start(job)
        worker.suggest(job, 1)
        asked = client.post(f"/v1/jobs/{job}/ask", json={"worker_id": "w"}).json()
        told = {"trial_id": asked["trial_id"], "attempt": 1, "status": "failed"}
        reason = f"OSError: 401 for https://u:s3cret@hub with {THEIRS}"
        assert client.post(f"/v1/trials/{asked['trial_id']}/tell", json={**told, "reason": reason}).status_code == 200
        made = client.post("/v1/tokens", json={"name": "new", "scopes": ["read"]}).json()["secret"]
        seen = refused.text + wrong.text + client.get(f"/v1/jobs/{job}/trials").text
        seen += client.get("/v1/tokens").text + client.get("/v1/audit").text + client.get("/metrics").text
    seen += str(store.events_after(0, job))
    for hidden in (secret, made, OURS, THEIRS, "s3cret"):
        assert hidden not in seen
    assert "401 for https://[hidden]@hub" in seen
