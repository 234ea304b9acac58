"""Messages as a receiver gets them: signed, to the address that was checked, again until it says yes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.notifying.courier import Courier, delivering
from service.store.store import Store, open_store
from tests.patience import wait_until
from tests.service.notifying.receiver import Receiver, receiving
from tests.service.store.examples import ManualClock, running_job
from workers.outbound.addresses import Allowed

LOOPBACK = Allowed("127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock)
    yield opened
    opened.close()


def end_a_job(store: Store, url: str) -> tuple[str, str]:
    """A webhook with a message to send: its secret and id."""
    secret, hook = store.create_webhook(url, ["job.cancelled"])
    store.set_job_state(running_job(store).id, "cancelled")
    return secret, hook.id


def test_it_is_signed_and_says_what_it_is(store: Store, clock: ManualClock, receiver: Receiver) -> None:
    secret, hook = end_a_job(store, receiver.url)
    assert Courier(store, LOOPBACK, clock).round() == 1
    ((headers, body),) = receiver.got
    (kept,) = store.deliveries(hook).items
    assert (kept.state, kept.status, kept.error) == ("delivered", 200, None)
    assert json.loads(body)["id"] == headers["Peftsearch-Delivery"] == kept.id
    assert headers["Peftsearch-Event"] == "job.cancelled"
    assert headers["Host"] == receiver.url.split("/")[2]
    timestamp, signed = (part.split("=", 1)[1] for part in headers["Peftsearch-Signature"].split(","))
    assert int(timestamp) == int(clock.now.timestamp())
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signed, expected)
    assert secret.encode() not in body


def test_it_is_sent_again_after_a_restart_with_the_same_id_and_body(
    store: Store, clock: ManualClock, receiver: Receiver, tmp_path: Path
) -> None:
    _, hook = end_a_job(store, receiver.url)
    receiver.statuses = [500, 302, 200]
    courier = Courier(store, LOOPBACK, clock)
    assert [courier.round(), courier.round()] == [1, 0]
    clock.now += timedelta(minutes=5)
    later = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock)
    again = Courier(later, LOOPBACK, clock)
    assert again.round() == 1
    assert later.deliveries(hook).items[0].error == "answered 302"  # whom it would lead to was not asked
    clock.now += timedelta(minutes=5)
    assert [again.round(), again.round()] == [1, 0]
    assert later.deliveries(hook).items[0].state == "delivered"
    assert len({(headers["Peftsearch-Delivery"], body) for headers, body in receiver.got}) == 1
    assert len(receiver.got) == 3
    later.close()


def test_what_is_not_allowed_any_more_or_not_there_is_told_to_whoever_looks(
    store: Store, clock: ManualClock, receiver: Receiver
) -> None:
    _, hook = end_a_job(store, receiver.url)
    assert Courier(store, Allowed("any"), clock).round() == 1
    (kept,) = store.deliveries(hook).items
    assert receiver.got == []
    assert kept.status is None
    assert "operator allows" in str(kept.error)
    clock.now += timedelta(minutes=5)
    receiver.server_close()
    Courier(store, LOOPBACK, clock).round()
    (kept,) = store.deliveries(hook).items
    assert (kept.state, kept.status, kept.attempts) == ("pending", None, 2)
    assert "operator" not in str(kept.error)


def test_the_courier_goes_round_by_itself(store: Store, receiver: Receiver) -> None:
    with delivering(Courier(store, LOOPBACK), period=0.05):
        end_a_job(store, receiver.url)
        wait_until(lambda: receiver.got, "the receiver is told", every=0.02)
