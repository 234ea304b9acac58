"""`peftsearch tokens`, `peftsearch audit`, and what clients do when they ask too often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from peftsearch import Client
from peftsearch.connection import TIMES_REFUSED
from peftsearch.errors import Unavailable


def test_a_token_from_its_making_to_its_end(run: Callable[..., Any], url: str) -> None:
    assert url
    made = run(
        "tokens", "make", "ci", "--scope", "read", "--scope", "submit", "--days", "30", "--rate", "5", "--json"
    ).json
    assert made["secret"].startswith("pfs_")
    assert (made["scopes"], made["rate"]) == (["read", "submit"], 5.0)
    successor = run("tokens", "rotate", made["id"], "--overlap", "60")
    assert successor.out.strip().startswith("pfs_")
    assert successor.out.strip() != made["secret"]
    listed = run("tokens", "list", "--json").json
    assert [one["name"] for one in listed] == ["ci", "ci"]
    assert "secret" not in listed[0]
    assert run("tokens", "revoke", made["id"]).out.strip() == f"ci ({made['id']}) is revoked"
    assert run("tokens", "revoke", "t0").code == 2
    assert "pfs_" not in run("tokens", "list").out


def test_the_audit_trail_says_who_did_it(run: Callable[..., Any], url: str) -> None:
    assert url
    assert run("audit").out.strip() == "nothing yet"
    asked = ("--scope", "read", "--scope", "submit", "--days", "30", "--rate", "5", "--json")
    made = run("tokens", "make", "ci", *asked).json
    run("tokens", "revoke", made["id"])
    entries = run("audit", "--target", made["id"], "--json").json
    assert [entry["operation"] for entry in entries] == ["DELETE /v1/tokens/{token_id}", "POST /v1/tokens"]
    assert len(run("audit", "--limit", "1", "--json").json) == 1
    assert run("audit", "--by", "nobody", "--json").json == []
    assert "POST /v1/tokens" in run("audit").out


@pytest.mark.parametrize("times", [2, TIMES_REFUSED + 1])
def test_a_client_that_asks_too_often_waits_and_asks_again(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("peftsearch.client.time.sleep", waited.append)

    def answer(_: httpx.Request) -> httpx.Response:
        if len(waited) < times:
            return httpx.Response(429, headers={"Retry-After": "3"}, json={"title": "Too many requests"})
        return httpx.Response(200, json={"status": "ok"})

    with Client("http://x", "t", transport=httpx.MockTransport(answer)) as client:
        if times <= TIMES_REFUSED:
            assert client.health() == {"status": "ok"}
        else:
            with pytest.raises(Unavailable):
                client.health()
    assert waited == [3.0] * min(times, TIMES_REFUSED)


def test_webhooks_are_refused_until_the_operator_allows_them(run: Callable[..., Any], url: str) -> None:
    assert url
    refused = run("webhooks", "add", "https://hooks.example.com/x", "--event", "front")
    assert refused.code == 2
    assert run("webhooks", "list").out.strip() == "none"
    assert run("webhooks", "deliveries", "w0").code == run("webhooks", "remove", "w0").code == 2
