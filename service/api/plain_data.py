"""From the bytes of a body to plain data: JSON or YAML, of bounded size and depth, each key once, and nothing in it
that a number, a database or JSON itself cannot hold. Every body is read here, off the event loop."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from service.errors import BadInput, FieldProblem

DEPTH = 64
"""Lists and mappings inside one another. A space with nested constraints needs about ten."""
YAML_LIMIT = 64 * 1024
"""Bytes. People write YAML by hand; a program that sends more sends JSON, which is read a hundred times faster."""
LARGEST = 2**63 - 1
"""Integers go through 64 bits in every database, file format and tensor."""
REPORTED = 20
"""Problems of one body that are told; a list of a million infinities needs no million lines."""

WHOLE = "(whole body)"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it


def parse_json(body: bytes) -> Any:
    """Read JSON. Raises BadInput naming every field whose value cannot be kept."""
    text = _text(body)
    try:
        document = json.loads(text, object_pairs_hook=_mapping)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise BadInput(WHOLE, _excerpt(text), "JSON", f"the body is not JSON: {error}") from None
    return _checked(document)


def parse_yaml(body: bytes) -> Any:
    """Read YAML. Raises BadInput, also for aliases: a few lines of them expand to gigabytes."""
    if len(body) > YAML_LIMIT:
        told = f"a YAML body may have at most {YAML_LIMIT} bytes, this one has {len(body)}; send it as JSON"
        raise BadInput(WHOLE, f"{len(body)} bytes", f"at most {YAML_LIMIT} bytes of YAML", told)
    text = _text(body)
    try:
        _check_shape(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if repeated := list(_repeated_keys(node, "")):
                raise BadInput.of(repeated[:REPORTED])
            document = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BadInput(WHOLE, _excerpt(text), "YAML", f"the body is not YAML: {error}") from None
    return _checked(document)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadInput(WHOLE, str(error), "text in UTF-8") from None


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise BadInput.of([_twice(name, "") for name, n in times.items() if n > 1][:REPORTED])
    return found


def _check_shape(text: str) -> None:
    """Refuse depth and aliases event by event, before anything is built: what builds the document is recursive."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise BadInput(WHOLE, "a YAML alias", "YAML without aliases (`*name`)")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH:
                raise _too_deep()
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _repeated_keys(node: Any, path: str) -> Iterator[FieldProblem]:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _repeated_keys(item, _joined(path, number))
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line, field = (key.tag, key.value), key.start_mark.line + 1, _joined(path, key.value)
            if name in lines:
                yield _twice(field, f", in lines {lines[name]} and {line}")
            lines.setdefault(name, line)
            yield from _repeated_keys(value, field)


def _twice(field: str, where: str) -> FieldProblem:
    return FieldProblem(field, "the same key twice", "each key once", f"the key `{field}` is there twice{where}")


def _checked(document: Any) -> Any:
    """The document, when every part of it can be kept. Raises BadInput."""
    problems = []
    for problem in _unkeepable(document):
        problems.append(problem)
        if len(problems) == REPORTED:
            break
    if problems:
        raise BadInput.of(problems)
    return document


def _unkeepable(document: Any) -> Iterator[FieldProblem]:
    """What no field can hold, whatever its type. Written as a loop: the depth of what is walked is not yet known."""
    if not isinstance(document, dict | list) and (allowed := _flaw(document)):
        yield _problem(WHOLE, document, allowed)
    waiting: list[tuple[str, Any, int]] = [("", document, 1)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > DEPTH + 1:
            raise _too_deep()
        if isinstance(value, dict):
            for name in value:
                if allowed := _flaw(name, key=True):
                    yield _problem(_joined(path, name), name, allowed)
        elif not isinstance(value, list):
            continue
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            kind = type(inner)
            if kind is dict or kind is list:
                waiting.append((_joined(path, name), inner, depth + 1))
            elif (kind is not int or not -LARGEST <= inner <= LARGEST) and (allowed := _flaw(inner)):
                yield _problem(_joined(path, name), inner, allowed)


def _flaw(value: Any, key: bool = False) -> str | None:
    """What would do instead of a value that cannot be kept; None when it can."""
    if isinstance(value, str):
        return "text without NUL and half surrogates" if _UNSTORABLE.search(value) else None
    if key:
        return "a key that is text; put it in quotes"
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if -LARGEST <= value <= LARGEST else "an integer of at most 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "a finite number"
    return "text, a number, a list or a mapping; put it in quotes to make it text"


def _problem(field: str, value: Any, allowed: str) -> FieldProblem:
    if isinstance(value, float):
        value = json.dumps(value)  # NaN, Infinity
    elif isinstance(value, int):
        value = f"an integer of {value.bit_length()} bits"
    found, field = (_UNSTORABLE.sub("\ufffd", str(text)) for text in (value, field))
    return FieldProblem(field, found, allowed, f"{field}: found {_excerpt(found)!r}; allowed: {allowed}")


def _too_deep() -> BadInput:
    told = f"the body holds lists or mappings more than {DEPTH} deep inside one another"
    return BadInput(WHOLE, "more than that", f"at most {DEPTH} levels of lists and mappings", told)


def _joined(path: str, part: object) -> str:
    return f"{path}.{part}" if path else str(part)


def _excerpt(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "…"
