"""What a service tells others about one job, end to end: its trace to a collector, its end to a webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.otlp_collector import Collector, Told, collecting_spans
from tests.patience import PATIENCE_S, wait_until
from tests.service.notifying.receiver import Receiver, receiving
from tests.service.serving import Serving, job_when, serving
from tests.service.tiny_task import tiny_job

pytestmark = [pytest.mark.slow, pytest.mark.ray]
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRIALS = 4


@dataclass
class Scene:
    """A job that is over, and whoever was told of it."""

    job_id: str
    secret: str
    webhook_id: str
    service: Serving
    collector: Collector
    receiver: Receiver


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One job through one service, whose receiver answers its first message with a 500."""
    root = tmp_path_factory.mktemp("root")
    flags = (f"--data-root={root}", "--log=json", "--webhooks=127.0.0.0/8")
    with collecting_spans() as collector, receiving() as receiver:
        receiver.statuses = [500, 200]
        with serving(root / "home", *flags, environment=collector.environment) as service:
            asked = {"url": receiver.url, "events": ["job.completed"]}
            made = httpx.post(f"{service.url}/v1/webhooks", json=asked, timeout=PATIENCE_S).raise_for_status().json()
            job, headers = tiny_job(root, trials=TRIALS), {"traceparent": CALLER}
            sent = httpx.post(f"{service.url}/v1/jobs", json=job, headers=headers, timeout=PATIENCE_S)
            id = sent.raise_for_status().json()["id"]
            with service.client() as client:
                ended = job_when(client, id)
                assert ended.state == "completed", ended
            yield Scene(id, made["secret"], made["id"], service, collector, receiver)


def test_one_submit_is_one_connected_trace(scene: Scene) -> None:
    trained = f"{scene.job_id}-"

    def whole(spans: list[Told]) -> bool:
        names = [one.name for one in spans if str(one.attributes.get("trial_id", "")).startswith(trained)]
        proposed = any(one.name == "propose" for one in spans)
        return proposed and names.count("train trial") == names.count("store outcome") == TRIALS

    spans = scene.collector.until(whole)
    by_id = {one.id: one for one in spans}
    (submit,) = (one for one in spans if one.name == "POST /v1/jobs")
    assert (submit.service, submit.parent) == ("peftsearch-api", CALLER.split("-")[2])
    assert submit.attributes["http.response.status_code"] == 201
    working = [one for one in spans if one.service != "peftsearch-api"]
    assert {one.trace for one in [submit, *working]} == {CALLER.split("-")[1]}
    for one in working:  # each hangs on the request, directly or over another span
        while one.id != submit.id:
            one = by_id[one.parent]
    assert {(one.service, one.name) for one in working} == {
        ("peftsearch-conductor", "take job"),
        ("peftsearch-conductor", "dispatch trial"),
        ("peftsearch-conductor", "store outcome"),
        ("peftsearch-proposer", "propose"),
        ("peftsearch-worker", "train trial"),
    }
    for one in working:
        if one.name == "train trial":
            assert by_id[one.parent].name == "dispatch trial"
            assert by_id[one.parent].attributes["trial_id"] == one.attributes["trial_id"]
            assert (one.attributes["status"], one.events) == ("completed", ("report", "report"))


def test_lines_of_the_log_carry_the_trace(scene: Scene) -> None:
    lines = [json.loads(line) for line in scene.service.log.read_text().splitlines() if line.startswith("{")]
    about = [line for line in lines if line.get("job_id") == scene.job_id and line["process"] == "conductor"]
    assert about
    assert {line["trace_id"] for line in about} == {CALLER.split("-")[1]}


@pytest.mark.long
def test_the_end_of_the_job_is_told_again_after_a_refusal(scene: Scene) -> None:
    url = f"{scene.service.url}/v1/webhooks/{scene.webhook_id}/deliveries"

    def delivered() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = httpx.get(url, timeout=PATIENCE_S).raise_for_status().json()["items"]
        return items if items and items[0]["state"] == "delivered" else []

    kept = wait_until(delivered, lambda: f"it is delivered: {httpx.get(url).text}", every=0.2)
    assert (len(kept), kept[0]["attempts"], kept[0]["status"]) == (1, 2, 200)
    first, second = scene.receiver.got
    assert first[1] == second[1]
    for headers, body in (first, second):
        told = json.loads(body)
        assert (headers["Peftsearch-Event"], told["job"]["id"]) == ("job.completed", scene.job_id)
        timestamp, signed = (part.split("=", 1)[1] for part in headers["Peftsearch-Signature"].split(","))
        expected = hmac.new(scene.secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(signed, expected)
