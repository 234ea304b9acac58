"""The OpenAPI document: the JobSpec of each kind among its schemas, and every refusal as the problem that it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from service.api.problem_details import MEDIA_TYPE
from service.jobs.kinds import SPECS

_REFUSALS = {
    400: "the request is malformed",
    401: "no token, or one that is unknown, expired or revoked",
    403: "the token lacks the scope, or the request comes from a page of another site",
    404: "there is no such thing, or not in the token's project",
    409: "the present state does not allow it",
    413: "the body is too large",
    414: "the address is too long",
    422: "the request is not valid; `errors` names every field",
    429: "the token asks more often than it may; `Retry-After` says when to come again",
    500: "an error of the server's own",
    503: "not available now; try again later",
}
_FIELD_PROBLEM: dict[str, Any] = {
    "title": "FieldProblem",
    "type": "object",
    "required": ["field", "found", "allowed", "message"],
    "properties": {
        "field": {"type": "string", "description": "dotted path"},
        "found": {"description": "what was there, shortened"},
        "allowed": {"type": "string", "description": "what would do"},
        "message": {"type": "string"},
    },
}
_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem details",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldProblem"}},
    },
}


class Api(FastAPI):
    """FastAPI with this document."""

    def openapi(self) -> dict[str, Any]:
        """The document."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        for model in SPECS.values():  # their route reads YAML too, unseen by FastAPI
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            parts = schema.pop("$defs", {})
            schemas.update({**parts, model.__name__: schema})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas |= {"FieldProblem": _FIELD_PROBLEM, "Problem": _PROBLEM}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["responses"] |= dict(_refusals(path, operation))
        return document


def _refusals(path: str, operation: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What an operation may be refused with, by status. Statuses that a route documents itself keep its words."""
    secured, body = "security" in operation, "requestBody" in operation
    statuses = [400, 414, 500, 503]
    statuses += [401, 403, 429] if secured else []
    statuses += [404] if "{" in path or "recommend" in path or "predict" in path else []
    statuses += [409, 413] if body else []
    statuses += [422] if body or operation.get("parameters") else []
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    own: Mapping[str, Any] = operation["responses"]
    for status in sorted({*statuses, *(int(one) for one in own if int(one) >= 400)}):
        told = own.get(str(status), {}).get("description", "")
        words = told if told and told != "Validation Error" else _REFUSALS.get(status, told)
        yield str(status), {"description": words, "content": content}
