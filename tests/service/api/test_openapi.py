"""The OpenAPI document tells what is answered, and what it does not tell is 404 or 405."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

VERBS = {"get", "post", "put", "patch", "delete"}


def test_every_refusal_is_a_problem(api: TestClient) -> None:
    document = api.get("/v1/openapi.json").json()
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert "HTTPValidationError" not in str(document)
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            statuses = {int(status): told for status, told in operation["responses"].items()}
            needed = {400, 414, 500, 503} | ({401, 403} if "security" in operation else set())
            needed |= {422} if operation.get("parameters") or "requestBody" in operation else set()
            needed |= {404} if "{" in path else set()
            assert needed <= set(statuses), (verb, path)
            assert any(status < 300 for status in statuses), (verb, path)
            for status, told in statuses.items():
                assert told["description"], (verb, path, status)
                assert status < 400 or told["content"] == problem, (verb, path, status)


def test_a_body_that_may_name_a_job_may_name_one_that_is_not_there(api: TestClient) -> None:
    asked = {"url": "https://hooks.example.com/", "events": ["job.completed"], "job_id": "nowhere"}
    assert api.post("/v1/webhooks", json=asked).status_code == 404
    assert "404" in api.get("/v1/openapi.json").json()["paths"]["/v1/webhooks"]["post"]["responses"]


def test_methods_that_do_not_exist_are_405_and_name_those_that_do(api: TestClient) -> None:
    paths: dict[str, Any] = api.get("/v1/openapi.json").json()["paths"]
    for path, operations in paths.items():
        filled = path.format(job_id="j1", trial_id="j1-1", name="x", token_id="t1", webhook_id="w1")
        for verb in VERBS - set(operations) if path.startswith("/v1") else ():
            response = api.request(verb, filled)
            assert response.status_code == 405, (verb, path)
            assert response.headers["content-type"] == "application/problem+json"
            assert {one.strip().lower() for one in response.headers["allow"].split(",")} == set(operations)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/jobs/a/b/c", "/v1/index.html"])
def test_what_is_no_route_is_404_as_a_problem(api: TestClient, path: str) -> None:
    for verb in ("GET", "POST", "DELETE"):
        response = api.request(verb, path)
        assert response.status_code in ({404, 405} if path == "/v1" else {404}), (verb, path)
    assert api.get(path).headers["content-type"] == "application/problem+json"
