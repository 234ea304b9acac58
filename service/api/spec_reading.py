"""From the bytes of a request to an unchecked JobSpec: JSON or YAML, told apart by the content type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import yaml
from fastapi import Request

from service.errors import BadInput
from service.jobspecs.kinds import SPECS

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
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise BadInput("(whole body)", str(error), "text in UTF-8") from None
    return parse_yaml(text) if kind in _YAML else parse_json(text)


def parse_json(text: str) -> Any:
    """Read JSON. Raises BadInput, also for NaN and infinities, which JSON does not have."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput("(whole body)", _excerpt(text), "JSON", f"the body is not JSON: {error}") from None


def parse_yaml(text: str) -> Any:
    """Read YAML. Raises BadInput, also for aliases: a few lines of them expand to gigabytes."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise BadInput("(whole body)", "a YAML alias", "YAML without aliases (`*name`)")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput("(whole body)", _excerpt(text), "YAML", f"the body is not YAML: {error}") from None


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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _excerpt(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "…"
