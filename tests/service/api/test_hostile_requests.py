"""Hosts, paths, queries and cursors that no client of ours sends: refused with a reason, never with a 500."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.request_guard import Authority

Spec = dict[str, Any]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:8933.evil.com",
        "127.0.0.1:99999",
        "[::1",
        "[::1]x",
        "[zz]",
        "a b",
        "a/b",
        "a@b",
        "",
        "ä",
    ],
)
def test_what_is_no_host_is_malformed(api: TestClient, text: str) -> None:
    assert Authority.of(text) is None
    response = api.get("/v1/jobs", headers={"Host": text.encode()})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8765", "127.0.0.1", "8765"),
        ("LOCALHOST", "localhost", ""),
        ("[::1]:80", "::1", "80"),
        ("my-host.example.org:443", "my-host.example.org", "443"),
    ],
)
def test_hosts_are_read(text: str, host: str, port: str) -> None:
    assert Authority.of(text) == Authority(host, port)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://[::1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "file://127.0.0.1"},
        {"Host": "evil.example"},
    ],
)
def test_pages_of_other_sites_are_kept_out(api: TestClient, headers: dict[str, str]) -> None:
    assert api.get("/v1/jobs", headers=headers).status_code == 403


def test_the_own_page_and_programs_are_let_in(api: TestClient) -> None:
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        assert api.get("/v1/jobs", headers=headers).status_code == 200


def test_addresses_without_end_or_sense_are_refused(api: TestClient) -> None:
    for path in ("/" + "a" * 5000, "/" + "a/" * 2500, "/v1/jobs/" + "a" * 5000, "/v1/jobs?x=" + "a" * 20_000):
        assert api.get(path).status_code == 414, path[:40]
    assert api.get("/" + "a" * 1000).status_code == 404
    for path in ("/v1/jobs/a%00b", "/a%00b", "/v1/spaces?model=a%00b", "/v1/laws/x?version=%00"):
        response = api.get(path)
        assert response.status_code == 422, path
        assert response.json()["errors"][0]["field"] in {"(path)", "model", "version"}


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "W1tbW1tb",
        "ä",
        "=",
        base64.urlsafe_b64encode(b"[" * 700).decode(),
        _cursor("newest", 1, 2),
        _cursor("newest", "zzz", "a"),
        _cursor("newest", "2024-01-01", "a"),
        _cursor("newest", "0001-01-01T00:00:00+23:59", "a"),
        _cursor("newest", "9999-12-31T23:59:59-23:59", "a"),
        _cursor("newest", "2024-01-01T00:00:00+00:00", ["a"]),
        _cursor("newest", "2024-01-01T00:00:00+00:00", "a\x00"),
        _cursor("newest", "2024-01-01T00:00:00+00:00", "a\ud800"),
        _cursor("newest", "2024-01-01T00:00:00+00:00", "a", "b"),
        _cursor("newest"),
        _cursor(),
        "a" * 2000,
    ],
)
def test_cursors_that_we_never_gave_are_refused(api: TestClient, cursor: str) -> None:
    response = api.get("/v1/jobs", params={"cursor": cursor})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    "position",
    [
        (10**30, 1),
        (2**40, 1),
        (10**400, 1),
        (1, 10**30),
        (1, 2**31),
        ({}, []),
        (True, True),
        (1, None),
        (1, -1),
        ("1", 1),
    ],
)
@pytest.mark.parametrize("sort", ["number", "accuracy"])
def test_cursors_of_trials_are_read_as_strictly(api: TestClient, spec: Spec, position: Any, sort: str) -> None:
    job = api.post("/v1/jobs", json=spec).json()["id"]
    response = api.get(f"/v1/jobs/{job}/trials", params={"sort": sort, "cursor": _cursor(f"{sort} up", *position)})
    if position in ((10**30, 1), (2**40, 1)):  # beyond every value, but a number
        assert response.json() == {"items": [], "next_cursor": None}
    else:
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize("number", ["abc", "-1", str(2**63), str(2**70), "1e3", "1.5", "٣".encode()])
def test_event_ids_that_we_never_gave_are_refused(api: TestClient, spec: Spec, number: Any) -> None:
    job = api.post("/v1/jobs", json=spec).json()["id"]
    response = api.get(f"/v1/jobs/{job}/events", params={"until_over": True}, headers={"Last-Event-ID": number})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "last-event-id")


def test_versions_beyond_the_database_are_refused(api: TestClient) -> None:
    response = api.get("/v1/laws/x", params={"version": 10**30})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "version")
    response = api.post("/v1/tokens", json={"name": "x", "scopes": ["read"], "ttl": 1e300})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "ttl")
