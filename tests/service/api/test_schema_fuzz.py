"""The API against its own OpenAPI document: whatever is sent, with a token or without, no 5xx and no answer that the
document does not tell of.

`make fuzz` sends 10,000 requests and more (`PEFTSEARCH_FUZZ_CASES`); `make test` sends a few hundred. Both to an API on
SQLite, unless `PEFTSEARCH_FUZZ_DATABASE` is the URL of an empty database elsewhere.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.api.app import create_app
from service.settings import Settings
from service.store.store import Store, open_store
from tests.api_fixtures import Worker, behind_a_port
from tests.patience import PATIENCE_S
from workers.artifacts import ArtifactStore

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed (make setup brings it)")
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.core.failures import Failure  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

CASES = int(os.environ.get("PEFTSEARCH_FUZZ_CASES", "400"))
"""Requests in all, in equal parts over the operations; five of six with a token."""

DATABASE = os.environ.get("PEFTSEARCH_FUZZ_DATABASE", "")

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
OPEN = {"/v1/healthz", "/v1/readyz"}
"""What is answered without a token."""


@dataclass
class Target:
    """An API with something in it that requests can name."""

    store: Store
    url: str
    session: requests.Session
    schema: Any
    spec: dict[str, Any]
    jobs: list[str]
    trials: list[str]
    token: str
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    """The first example of each fault, by operation and kind."""

    def name(self, parameter: str, verb: str) -> str:
        """Something that exists for a path parameter; what a request may delete is made for it."""
        if parameter == "job_id":
            fresh = self.store.create_job("spare", self.spec).id if verb == "DELETE" else ""
            return fresh or self.jobs[len(self.answered) % len(self.jobs)]
        if parameter == "token_id":
            return self.store.create_token("spare", ["read"])[1].id
        if parameter == "webhook_id":
            return self.store.create_webhook("https://hooks.example.com/", ["front"])[1].id
        return {"trial_id": self.trials[len(self.answered) % len(self.trials)], "name": "mine"}[parameter]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Jobs in several states with trials in several more, a law and tokens, behind an API that asks for a token."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    (folder / "train.csv").write_text("text,label\n" + "".join(f"sentence {n},{n % 2}\n" for n in range(40)))
    given = {"home": folder / "home", "data_roots": [folder], "hub": "off", "webhooks": "any", "database": DATABASE}
    settings = Settings.read(given, {})
    store, artifacts = open_store(settings.database), ArtifactStore(settings.artifacts)
    app = create_app(settings, store, artifacts)
    secret, _ = store.create_token("fuzz", ["admin"])
    worker = Worker(store, artifacts, folder)
    with behind_a_port(app) as url, requests.Session() as session:
        allowed = {"Authorization": f"Bearer {secret}"}
        jobs = []
        for executor in ("ray", "external"):
            job = {**_spec(), "resources": {"executor": executor}}
            sent = session.post(f"{url}/v1/jobs", json=job, headers=allowed, timeout=PATIENCE_S)
            assert sent.status_code == 201, sent.text
            jobs.append(sent.json()["id"])
            worker.start(jobs[-1])
            worker.suggest(jobs[-1], 4)
            worker.complete(jobs[-1], 0.9, 1000, adapter=executor == "ray")
            worker.complete(jobs[-1], 0.8, 100)
        trials = [trial.id for id in jobs for trial in store.searched_trials(id)]
        schema = schemathesis.openapi.from_dict(app.openapi())
        yield Target(store, url, session, schema, store.get_job(jobs[0]).spec, jobs, trials, secret)
    store.close()


def _spec() -> dict[str, Any]:
    return {
        "name": "fuzz",
        "task": {"model": "builtin:minilm", "train": "train.csv", "validation": 0.25, "max_length": 16},
        "space": {"preset": "lora", "overrides": {"batch_size": {"value": 8}}},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "optimizer": {"name": "random"},
        "budget": {"trials": 6, "epochs": 1},
    }


@pytest.mark.slow
@pytest.mark.timeout(1000 + CASES)  # `make fuzz` takes longer than other tests may
def test_no_request_breaks_the_api_or_its_document(target: Target) -> None:
    operations = [found.ok() for found in target.schema.get_all_operations()]
    without = max(1, CASES // (6 * len(operations)))
    for operation in operations:
        began = time.monotonic()
        for token, cases in ((target.token, 5 * without), (None, without)):
            _fuzz(target, operation, token, cases)
        print(f"{operation.label}: {time.monotonic() - began:.1f} s")
    sent = sum(target.answered.values())
    print(f"{sent} requests to {len(operations)} operations: {dict(sorted(_by_status(target).items()))}")
    assert sent >= CASES / 1.3, "operations without parameters differ in little; 13,000 wanted are to be 10,000 sent"
    assert not target.faults, "\n".join(f"{kind}: {said}" for kind, said in target.faults.items())
    assert any(status < 300 for _, status in target.answered)


def _by_status(target: Target) -> Counter[int]:
    by_status: Counter[int] = Counter()
    for (_, status), times in target.answered.items():
        by_status[status] += times
    return by_status


def _fuzz(target: Target, operation: Any, token: str | None, cases: int) -> None:
    modes = [operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]

    @hypothesis_settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(*modes), real=st.booleans())
    def send(case: Any, real: bool) -> None:
        if real and case.path_parameters:
            case.path_parameters = {name: target.name(name, operation.method.upper()) for name in case.path_parameters}
        _hurry(case)
        case.headers = {name: text for name, text in (case.headers or {}).items() if name.lower() != "authorization"}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = case.call(base_url=target.url, session=target.session, headers=headers, timeout=PATIENCE_S)
        target.answered[operation.label, answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except* Failure as found:
            for fault in found.exceptions:
                said = f"{fault} {answer.status_code} {answer.text[:300]} {case.as_curl_command()[:600]}"
                target.faults.setdefault(f"{operation.label}: {type(fault).__name__}", said)
        if token is None and operation.path not in OPEN and answer.status_code < 400:
            target.faults.setdefault(f"{operation.label}: answered without a token", answer.text[:300])

    send()


def _hurry(case: Any) -> None:
    """Nothing waits: event streams end with what there is, `ask` does not stay for a trial."""
    if case.operation.path.endswith("/events"):
        case.path_parameters = {"job_id": "unknown"}
    if isinstance(case.body, dict) and "wait" in case.body and isinstance(case.body["wait"], int | float):
        case.body["wait"] = min(case.body["wait"], 0)
