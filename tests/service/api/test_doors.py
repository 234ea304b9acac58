"""Who may do what, and how refusals look: tokens, scopes, other sites, large bodies, problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.body_limit import LIMIT
from service.api.problem_details import problem
from service.errors import Busy, ServiceError, TooCostly, TooMany, Unavailable
from service.redaction import HIDDEN

Spec = dict[str, Any]


@pytest.fixture
def guarded(settings: Any, store: Any, artifacts: Any) -> Iterator[TestClient]:
    """The app when it asks for tokens."""
    asking = settings.model_copy(update={"no_auth": False})
    with TestClient(create_app(asking, store, artifacts)) as client:
        yield client


def _bearer(store: Any, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {store.create_token('test', scopes)[0]}"}


def test_without_a_token_only_health_is_answered(guarded: TestClient) -> None:
    assert guarded.get("/v1/healthz").json()["status"] == "ok"
    assert guarded.get("/v1/readyz").json()["status"] == "ready"
    for path in ("/v1/jobs", "/v1/jobs/j1", "/v1/trials/j1-1", "/v1/spaces", "/v1/methods", "/v1/metrics", "/metrics"):
        response = guarded.get(path)
        assert response.status_code == 401, path
        assert "<home>/token" in response.json()["detail"]
        assert HIDDEN not in response.text, "there is nothing to hide in what says how to come in"
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["type"] == "urn:peftsearch:problem:unauthorized"


def test_it_is_not_ready_without_room_or_without_a_table(
    guarded: TestClient, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
        full = guarded.get("/v1/readyz")
    assert (full.status_code, guarded.get("/v1/readyz").status_code) == (503, 200)
    assert "the disk of" in full.json()["detail"]
    assert "1 MiB" in full.json()["detail"]
    store._database.write(lambda connection: connection.exec_driver_sql("DROP TABLE exploits"))
    lacking = guarded.get("/v1/readyz")
    assert (lacking.status_code, guarded.get("/v1/healthz").status_code) == (503, 200)
    assert "lacks the table exploits" in lacking.json()["detail"]


@pytest.mark.parametrize("path", ["/", "/reference.html", "/v1/docs", "/v1/openapi.json", "/v1/jobs", "/v1/no", "/no"])
def test_every_answer_says_what_may_run_in_it(guarded: TestClient, path: str) -> None:
    (policy,) = guarded.get(path, follow_redirects=False).headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'self'; ")
    assert "script" not in policy


def test_an_unknown_or_revoked_token_is_refused(guarded: TestClient, store: Any) -> None:
    assert guarded.get("/v1/jobs", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert guarded.get("/v1/jobs", headers={"Authorization": "Basic nonsense"}).status_code == 401
    header = _bearer(store, "read")
    assert guarded.get("/v1/jobs", headers=header).status_code == 200
    store.revoke_token(store.list_tokens()[0].id)
    assert guarded.get("/v1/jobs", headers=header).status_code == 401


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read", {"read"}),
        ("submit", {"read", "submit"}),
        ("work", {"read", "work"}),
        ("admin", {"read", "submit", "work", "admin"}),
    ],
)
def test_each_scope_reaches_so_far(guarded: TestClient, store: Any, spec: Spec, scope: str, allowed: set[str]) -> None:
    header = _bearer(store, scope)
    requests = {
        "read": guarded.get("/v1/jobs", headers=header),
        "submit": guarded.post("/v1/jobs", json=spec, headers=header),
        "work": guarded.post("/v1/jobs/jnone/ask", json={"worker_id": "w"}, headers=header),
        "admin": guarded.get("/v1/tokens", headers=header),
    }
    for needed, response in requests.items():
        assert (response.status_code != 403) == (needed in allowed), needed
        if needed not in allowed:
            assert f"`{needed}`" in response.json()["detail"]


def test_tokens_are_made_listed_and_revoked(guarded: TestClient, store: Any) -> None:
    admin = _bearer(store, "admin")
    made = guarded.post("/v1/tokens", json={"name": "ci", "scopes": ["read"], "ttl": 60}, headers=admin)
    token = made.json()
    assert made.status_code == 201
    assert guarded.get("/v1/jobs", headers={"Authorization": f"Bearer {token['secret']}"}).status_code == 200
    listed = guarded.get("/v1/tokens", headers=admin)
    assert token["secret"] not in listed.text
    assert {entry["name"] for entry in listed.json()["items"]} == {"ci", "test"}
    assert guarded.delete(f"/v1/tokens/{token['id']}", headers=admin).json()["revoked_at"] is not None
    assert guarded.get("/v1/jobs", headers={"Authorization": f"Bearer {token['secret']}"}).status_code == 401
    refused = guarded.post("/v1/tokens", json={"name": "x", "scopes": ["all"]}, headers=admin).json()
    assert (refused["status"], refused["errors"][0]["field"]) == (422, "scopes.0")
    assert "read" in refused["errors"][0]["allowed"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8765"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_without_tokens_other_sites_are_kept_out(api: TestClient, headers: dict[str, str]) -> None:
    assert api.get("/v1/jobs", headers=headers).status_code == 403


def test_without_tokens_the_own_page_is_let_in(api: TestClient) -> None:
    own = {"Host": "localhost:8765", "Origin": "http://localhost:8765"}
    assert api.get("/v1/jobs", headers=own).status_code == 200


@pytest.mark.parametrize("announced", [True, False])
def test_large_bodies_are_refused_before_they_are_read(api: TestClient, announced: bool) -> None:
    part = b" " * (LIMIT // 2 + 1)
    body: Any = part * 2 if announced else iter([part, part])
    response = api.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert str(LIMIT) in response.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ("{", "application/json", ["not JSON"]),
        ('{"seed": NaN}', "application/json", ["NaN"]),
        ("[" * 100_000, "application/json", ["64 deep"]),
        ("a: [", "application/yaml", ["not YAML"]),
        ("a: &x [1]\nb: *x", "application/yaml", ["alias"]),
        ("!!python/object:os.system {}", "application/yaml", ["not YAML"]),
        ("name: x", "text/plain", ["text/plain", "application/yaml"]),
        ("[1, 2]", "application/json", ["dictionary"]),
        ("", "application/json", ["not JSON"]),
        ("\xff", "application/json", ["UTF-8"]),
    ],
)
def test_bodies_that_are_no_spec(api: TestClient, content: str, kind: str, words: list[str]) -> None:
    response = api.post("/v1/jobs", content=content.encode("latin-1"), headers={"Content-Type": kind})
    assert response.status_code == 422
    assert all(word in response.text for word in words), response.text


def test_unknown_paths_and_methods_are_problems_too(api: TestClient) -> None:
    for response in (api.get("/v1/nothing"), api.put("/v1/jobs")):
        assert response.status_code in {404, 405}
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code


@pytest.mark.parametrize(
    "error", [TooMany("often", 0.2), TooMany("often", 7.5), Busy("many"), TooCostly("long"), Unavailable("away")]
)
def test_whoever_may_come_again_is_told_when(error: ServiceError) -> None:
    answer = problem(error)
    assert answer.status_code in {429, 503}
    assert int(answer.headers["retry-after"]) == (8 if getattr(error, "wait", 0) == 7.5 else 1)


def test_bad_queries_name_the_parameter(api: TestClient) -> None:
    problem = api.get("/v1/jobs", params={"limit": 0}).json()
    assert problem["status"] == 422
    assert problem["errors"][0]["field"] == "limit"
    assert problem["errors"][0]["found"] == "0"
    assert api.get("/v1/jobs", params={"limit": 1001}).json()["status"] == 422


def test_an_error_of_the_servers_own_tells_nothing(settings: Any, store: Any, artifacts: Any) -> None:
    app = create_app(settings, store, artifacts)
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    store.close()
    app.state.surroundings.__dict__["clock"] = lambda: 1 / 0
    response = client.get("/v1/jobs")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "ZeroDivision" not in response.text
