"""Bodies that nobody means well with: endless, twice the same, or with values that nothing behind the API can hold."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ValidationError

from service.api.plain_data import DEPTH, YAML_LIMIT, parse_json, parse_yaml
from service.errors import BadInput

Spec = dict[str, Any]
JSON, YAML = {"Content-Type": "application/json"}, {"Content-Type": "application/yaml"}


def _fields(response: Any) -> list[str]:
    assert response.status_code == 422, response.text
    return [one["field"] for one in response.json()["errors"]]


@pytest.mark.parametrize("body", [b"[" * 6000, b"[" * 60_000, b"{a: " * 15_000, b"- " * 30_000, b"? " * 30_000])
def test_deep_yaml_is_refused_before_it_is_built(body: bytes) -> None:
    with pytest.raises(BadInput, match=f"{DEPTH} deep|not YAML"):
        parse_yaml(body)


def test_long_yaml_is_refused_unread_and_json_is_offered() -> None:
    with pytest.raises(BadInput, match="JSON"):
        parse_yaml(b"[" + b"1, " * YAML_LIMIT + b"]")


def test_a_key_that_is_there_twice_is_refused_with_its_lines(api: TestClient) -> None:
    text = "name: x\nbudget:\n  trials: 3\nspace:\n  preset: lora\n  preset: vera\nseed: 1\nbudget: {trials: 40}\n"
    response = api.post("/v1/jobs", content=text, headers=YAML)
    assert set(_fields(response)) == {"space.preset", "budget"}
    assert "`budget` is there twice, in lines 2 and 8" in response.json()["detail"]
    assert "`space.preset` is there twice, in lines 5 and 6" in response.json()["detail"]
    response = api.post("/v1/jobs", content='{"name": "a", "budget": {}, "budget": {}}', headers=JSON)
    assert _fields(response) == ["budget"]
    assert api.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("NaN", "finite"),
        ("-Infinity", "finite"),
        ("1e999", "finite"),
        (str(2**64), "64 bits"),
        ('"a\\u0000b"', "NUL"),
        ('"\\ud800"', "surrogates"),
    ],
)
def test_what_nothing_can_hold_is_named_wherever_it_stands(value: str, allowed: str) -> None:
    for path, text in (("a.b.1", f'{{"a": {{"b": [0, {value}]}}}}'), ("a", f'{{"a": {value}}}')):
        with pytest.raises(BadInput) as caught:
            parse_json(text.encode())
        (problem,) = caught.value.errors
        assert problem.field == path
        assert allowed in problem.allowed
    if value.startswith('"'):
        with pytest.raises(BadInput):
            parse_json(f"{{{value}: 1}}".encode())


@pytest.mark.parametrize("text", ["a: 2024-01-01", "a: !!binary aGk=", "a: !!set {x}", "1: x", "a: .nan", "a: .inf"])
def test_yaml_holds_what_json_could_hold(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_yaml(text.encode())
    assert caught.value.errors[0].field in {"a", "1"}


def test_sound_documents_are_read_alike_in_both_forms() -> None:
    document = {"a": [1, -2.5, True, None, "ä😀"], "b": {"c": {"d": []}}, "e": 2**63 - 1}
    assert parse_json(json.dumps(document).encode()) == document
    assert parse_yaml(json.dumps(document, ensure_ascii=False).encode()) == document


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
@pytest.mark.parametrize("route", ["jobs", "clone", "law", "token", "ask"])
def test_names_that_no_database_holds_are_named(api: TestClient, spec: Spec, route: str, name: str) -> None:
    job = api.post("/v1/jobs", json=spec).json()["id"]
    path, body = {
        "jobs": ("/v1/jobs", spec | {"name": name}),
        "clone": (f"/v1/jobs/{job}/clone", {"name": name}),
        "law": ("/v1/laws", {"name": name, "rows": []}),
        "token": ("/v1/tokens", {"name": name, "scopes": ["read"]}),
        "ask": (f"/v1/jobs/{job}/ask", {"worker_id": name}),
    }[route]
    assert _fields(api.post(path, content=json.dumps(body), headers=JSON)) == [
        "worker_id" if route == "ask" else "name"
    ]


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63, 1.5])
def test_seeds_that_no_generator_takes_are_refused(api: TestClient, spec: Spec, seed: float) -> None:
    assert _fields(api.post("/v1/jobs", json=spec | {"seed": seed})) == ["seed"]
    job = api.post("/v1/jobs", json=spec).json()["id"]
    assert _fields(api.post(f"/v1/jobs/{job}/clone", json={"seed": seed})) == ["seed"]
    rows = [{"weights": {"a": 1}, "losses": {"l": 1}}]
    assert "seed" in _fields(api.post("/v1/mixtures/fit", json={"rows": rows, "seed": seed}))
    for kind in ("law", "mixture"):
        assert "seed" in _fields(api.post("/v1/jobs", json={"kind": kind, "name": "x", "seed": seed}))


def _request_schemas(api: TestClient) -> list[tuple[str, Mapping[str, Any]]]:
    """(where, schema) of everything that a request can hold, parameters included."""
    document = api.get("/v1/openapi.json").json()
    schemas, found, seen = document["components"]["schemas"], [], set()
    waiting = [
        (f"{verb} {path} {one['name']}", one["schema"])
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
        for one in operation.get("parameters", ())
    ]
    waiting += [
        (f"{verb} {path}", content["schema"])
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]
    while waiting:
        where, schema = waiting.pop()
        name = schema.get("$ref", "").rpartition("/")[2]
        if name in seen:
            continue
        if name:
            seen.add(name)
            where, schema = name, schemas[name]
        found.append((where, schema))
        waiting += [(f"{where}.{key}", inner) for key, inner in schema.get("properties", {}).items()]
        waiting += [(where, inner) for kind in ("anyOf", "oneOf", "prefixItems") for inner in schema.get(kind, ())]
        inner = [schema.get(kind) for kind in ("items", "additionalProperties")]
        waiting += [(f"{where}[]", one) for one in inner if isinstance(one, dict)]
    return found


def test_every_integer_that_can_be_asked_for_is_bounded(api: TestClient) -> None:
    schemas = _request_schemas(api)
    assert len(schemas) > 200
    for where, schema in schemas:
        if schema.get("type") == "integer" and "const" not in schema and "enum" not in schema:
            assert {"minimum", "exclusiveMinimum"} & set(schema), where
            assert {"maximum", "exclusiveMaximum"} & set(schema), where
            assert max(schema.get("maximum", 0), schema.get("exclusiveMaximum", 0)) < 2**63 + 1, where


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    return [root, *(model for child in root.__subclasses__() for model in _models(child))]


def test_no_model_of_a_request_takes_infinities() -> None:
    from service.api.predictions import Question
    from service.jobs.search.spec import Section

    models = _models(Question) + _models(Section)
    assert len(models) > 20
    for model in models:
        for name, field in model.model_fields.items():
            if field.annotation in (float, float | None):
                for value in (float("nan"), float("inf"), float("-inf")):
                    with pytest.raises(ValidationError) as caught:
                        model.model_validate({name: value})
                    assert (name,) in {error["loc"] for error in caught.value.errors()}, (model, name)


def test_others_are_answered_while_hostile_bodies_are_read(served: httpx.Client) -> None:
    """One body of brackets kept the event loop for minutes: then nothing else was answered."""
    bodies = [b"[" * 200_000, b"[" + b"1," * 30_000 + b"1]", b"[" + b"1," * 1_000_000 + b"1]"]
    kinds = [YAML, YAML, JSON]

    def send(body: bytes, headers: dict[str, str]) -> None:
        assert served.post("/v1/jobs", content=body, headers=headers).status_code == 422

    threads = [threading.Thread(target=send, args=one) for one in zip(bodies, kinds, strict=True)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert served.get("/v1/healthz", timeout=60).status_code == 200  # what is tested: no minutes
        time.sleep(0.02)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("path", ["/v1/checks", "/v1/jobs"])
def test_a_caller_who_leaves_amid_the_body_is_no_error(
    app: FastAPI, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """A page that checks what is typed gives a check up with the next key."""
    received = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"", "root_path": ""}
    scope |= {"scheme": "http", "http_version": "1.1", "client": ("127.0.0.1", 1), "server": ("localhost", 80)}

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    with caplog.at_level(logging.INFO):
        asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 499
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING or record.exc_info]
