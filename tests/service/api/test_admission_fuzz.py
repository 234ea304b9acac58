"""Whatever a spec holds, admission answers with a spec or with named problems; it never breaks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.errors import BadInput, FieldProblem
from service.jobs.admission import admit
from service.settings import Settings

FULL: dict[str, Any] = {
    "name": "fuzz",
    "kind": "search",
    "task": {
        "type": "text-classification",
        "model": "builtin:minilm",
        "train": "train.csv",
        "validation": 0.25,
        "test": "train.csv",
        "text": "text",
        "text_pair": None,
        "label": "label",
        "max_length": 16,
        "train_rows": 20,
        "validation_rows": 5,
    },
    "space": {
        "preset": None,
        "overrides": {"batch_size": {"value": 4}, "rank": {"low": 2, "high": 8}},
        "method": "lora",
        "parameters": [
            {"type": "int", "name": "rank", "low": 1, "high": 16, "scale": "log"},
            {"type": "float", "name": "learning_rate", "low": 1e-4, "high": 1e-2, "prior": None},
            {"type": "ordinal", "name": "batch_size", "values": [4, 8]},
            {"type": "categorical", "name": "targets", "choices": ["qv", "all"]},
        ],
        "conditions": [{"child": "rank", "parent": "targets", "values": ["qv"]}],
        "constraints": [],
    },
    "objectives": [{"metric": "accuracy", "direction": "maximize"}, {"metric": "loss", "direction": "minimize"}],
    "constraints": [{"metric": "latency_ms", "max": 20, "min": 0}],
    "optimizer": {"name": "gp", "options": {"initial": 4}},
    "scheduler": {"name": "asha", "options": {"grace": 1}},
    "budget": {"trials": 5, "epochs": 2, "wall_clock": "20m"},
    "resources": {"concurrency": 1, "cpus_per_trial": 1, "gpus_per_trial": 0, "engine": "auto", "max_attempts": 2},
    "reference_trials": [{"method": "head", "learning_rate": 1e-3, "batch_size": 4}],
    "seed": 0,
}


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from _paths(inner, (*path, key))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.just(10**30)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=12)
    | st.sampled_from(["", ".", "..", "/", "~", "~x", "a\x00b", "hub:", "builtin:", "auto", "lora", "rank", "method"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "type", "value", "low", "high", "values", "choices", "metric", "x", "prior", "rank"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)
CHANGES = st.lists(st.tuples(st.sampled_from(sorted(_paths(FULL), key=str)), VALUES), min_size=1, max_size=3)


def _changed(spec: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(spec, dict):
        return {**spec, key: _changed(spec.get(key), tuple(rest), value)}
    if isinstance(spec, list) and isinstance(key, int) and key < len(spec):
        return [_changed(inner, tuple(rest), value) if at == key else inner for at, inner in enumerate(spec)]
    return spec


def test_the_unchanged_spec_is_admitted(settings: Settings) -> None:
    assert admit(copy.deepcopy(FULL), settings).name == "fuzz"


@pytest.mark.slow
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(changes=CHANGES)
def test_changed_specs_are_admitted_or_refused_by_name(settings: Settings, changes: Any) -> None:
    spec: Any = copy.deepcopy(FULL)
    for path, value in changes:
        spec = _changed(spec, path, value)
    problems: tuple[FieldProblem, ...] = ()
    admitted = None
    try:
        admitted = admit(spec, settings)
    except BadInput as refusal:
        problems = refusal.errors
    assert all(problem.field and problem.message for problem in problems)
    if admitted is None:
        assert problems
    else:
        again = admitted.model_dump(mode="json")
        assert admit(again, settings).model_dump(mode="json") == again
