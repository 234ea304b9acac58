"""`peftsearch webhooks` against a server that lets them point to a receiver here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.notifying.courier import Courier
from service.settings import Settings
from service.store.store import Store
from tests.service.notifying.receiver import receiving
from workers.outbound.addresses import Allowed

OPEN = "127.0.0.0/8"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Of a server whose webhooks may point to this machine."""
    return settings.model_copy(update={"webhooks": OPEN})


def test_a_webhook_from_its_making_to_its_end(
    run: Callable[..., Any], url: str, store: Store, spec: dict[str, Any]
) -> None:
    assert url
    jobs = [store.create_job("a", spec).id for _ in range(2)]
    with receiving() as receiver:
        receiver.statuses = [500, 200]
        made = run("webhooks", "add", receiver.url, "--job", jobs[0], "--event", "job.cancelled", "--json").json
        assert (made["job_id"], made["events"], made["secret"][:6]) == (jobs[0], ["job.cancelled"], "whsec_")
        shown = run("webhooks", "add", receiver.url, "--project", "vision")
        assert shown.out.startswith("whsec_")
        assert "this once" in shown.err
        assert run("webhooks", "add", receiver.url, "--project", "").code == 2
        assert run("webhooks", "deliveries", made["id"]).out.strip() == "nothing yet"
        for job in jobs:
            store.set_job_state(job, "cancelled")
        courier = Courier(store, Allowed(OPEN))
        assert (courier.round(), courier.round()) == (1, 0)  # nobody asked for the other job
    (told,) = run("webhooks", "deliveries", made["id"], "--json").json
    assert (told["job_id"], told["state"], told["attempts"], told["status"]) == (jobs[0], "pending", 1, 500)
    assert "pending" in run("webhooks", "deliveries", made["id"]).out
    assert [one["id"] for one in run("webhooks", "list", "--job", jobs[0], "--json").json] == [made["id"]]
    assert "whsec_" not in run("webhooks", "list").out + run("webhooks", "list", "--json").out
    assert run("webhooks", "remove", made["id"]).out.strip() == f"{made['id']} is removed"
    assert run("webhooks", "list", "--job", jobs[0]).out.strip() == "none"
    assert run("webhooks", "remove", made["id"]).code == 2
