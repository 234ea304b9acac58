"""From a request to an unchecked JobSpec: JSON or YAML, told apart by the content type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from fastapi import Request

from service.api.body_reading import parsed
from service.api.plain_data import parse_json, parse_yaml
from service.errors import BadInput
from service.jobs.kinds import SPECS

EXAMPLE: dict[str, Any] = {
    "name": "pydocs-lora",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs", "max_length": 64, "train_rows": 1000},
    "space": {"preset": "lora"},
    "objectives": [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "trainable_params", "direction": "minimize"},
    ],
    "budget": {"trials": 24, "epochs": 2, "wall_clock": "20m"},
}
"""A job that every installation can run."""

_SCHEMA = {"anyOf": [{"$ref": f"#/components/schemas/{model.__name__}"} for model in SPECS.values()]}
SPEC_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _SCHEMA, "example": EXAMPLE},
            "application/yaml": {"schema": _SCHEMA, "example": yaml.safe_dump(EXAMPLE, sort_keys=False)},
        },
    }
}
"""What the OpenAPI document says of the body of `POST /v1/jobs`."""

_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
_JSON = frozenset({"application/json", ""})


async def read_body(request: Request) -> Any:
    """The parsed body. Raises BadInput."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _JSON | _YAML:
        raise BadInput("Content-Type", kind, "application/json or application/yaml")
    return await parsed(request, parse_yaml if kind in _YAML else parse_json)


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` merged into it (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
