"""Messages over TLS: to the address that was checked, under the name that the webhook was added with."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
import trustme

from service.notifying.courier import Courier
from service.store.store import Store, open_store
from tests.service.notifying.receiver import Receiver, receiving
from tests.service.store.examples import running_job
from workers.outbound.addresses import Allowed

NAME = "hooks.example.test"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """The only one whose certificates are believed here."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "authority.pem"))
    return made


@pytest.fixture
def secured() -> Iterator[tuple[Receiver, ssl.SSLContext, list[str | None]]]:
    """A receiver over TLS, its settings, and the names that it was asked for."""
    context, asked = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), list[str | None]()
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with receiving() as receiver:
        receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        yield receiver, context, asked


class Rebinding:
    """A name that points to the receiver when it is checked, and elsewhere ever after."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, host: str, *_: object) -> list[str]:
        self.asked.append(host)
        return ["127.0.0.1"] if len(self.asked) == 1 else ["127.0.0.99"]


def told(store: Store, receiver: Receiver) -> tuple[str, Rebinding]:
    """Send one message by name; the state of its delivery with what was wrong, and what was resolved."""
    url = f"https://{NAME}:{receiver.server_address[1]}/hook"
    _, hook = store.create_webhook(url, ["job.cancelled"])
    store.set_job_state(running_job(store).id, "cancelled")
    resolver = Rebinding()
    assert Courier(store, Allowed(f"{NAME},127.0.0.0/8", resolver)).round() == 1
    (kept,) = store.deliveries(hook.id).items
    return f"{kept.state} {kept.status} {kept.error}", resolver


def test_a_name_is_resolved_once_and_its_certificate_checked(
    store: Store, authority: trustme.CA, secured: tuple[Receiver, ssl.SSLContext, list[str | None]]
) -> None:
    receiver, context, asked = secured
    authority.issue_cert(NAME).configure_cert(context)
    said, resolver = told(store, receiver)
    assert said == "delivered 200 None"
    assert (resolver.asked, asked) == ([NAME], [NAME])
    ((headers, _),) = receiver.got
    assert headers["Host"] == f"{NAME}:{receiver.server_address[1]}"


@pytest.mark.parametrize(("issuer", "name"), [("ours", "127.0.0.1"), ("ours", "other.example.test"), ("theirs", NAME)])
def test_a_certificate_for_another_name_or_by_somebody_else_is_not_believed(
    store: Store,
    authority: trustme.CA,
    secured: tuple[Receiver, ssl.SSLContext, list[str | None]],
    issuer: str,
    name: str,
) -> None:
    receiver, context, _ = secured
    (authority if issuer == "ours" else trustme.CA()).issue_cert(name).configure_cert(context)
    said, _ = told(store, receiver)
    assert said.startswith("pending None ConnectError")
    assert "certificate verify failed" in said.lower()
    assert receiver.got == []
