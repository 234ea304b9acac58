"""Changing spaces: in a running job (add, narrow, freeze) and by a user's overrides of a preset."""

from __future__ import annotations

from typing import Any

import pytest

from search_spaces.conditions import Condition
from search_spaces.constraints import SumAtLeast
from search_spaces.editing import apply_overrides
from search_spaces.errors import InvalidOverride
from search_spaces.parameters import Categorical, Float, Int, Ordinal
from search_spaces.presets import ModelShape, preset
from search_spaces.priors import Bell, Weights
from search_spaces.space import Space

SHAPE = ModelShape(384, 6, 1536, 12, "bert")
SMALL = Space(
    (
        Categorical("method", ("lora", "adapter"), Weights((1, 2))),
        Int("rank", 1, 64, "log", prior=Bell(32)),
        Ordinal("size", (4, 8, 16)),
        Categorical("wide", (False, True)),
    ),
    (
        Condition("rank", "method", ("lora",)),
        Condition("size", "method", ("adapter",)),
        Condition("wide", "size", (16,)),
    ),
    (SumAtLeast(("rank", "size"), 2), SumAtLeast(("wide",), 0)),
)


def test_a_space_is_never_changed_in_place() -> None:
    before = SMALL.to_json()
    SMALL.add(Float("x", 0, 1))
    SMALL.narrow("rank", high=8)
    SMALL.freeze("method", "lora")
    assert SMALL.to_json() == before


def test_narrowing_keeps_what_still_fits_of_a_prior() -> None:
    assert SMALL.narrow("rank", low=16).by_name["rank"] == Int("rank", 16, 64, "log", prior=Bell(32))
    assert SMALL.narrow("rank", high=8).by_name["rank"] == Int("rank", 1, 8, "log")
    assert SMALL.narrow("method", choices=["adapter"]).by_name["method"] == Categorical("method", ("adapter",))
    assert SMALL.narrow("rank", prior=Bell(4)).by_name["rank"] == Int("rank", 1, 64, "log", prior=Bell(4))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("rank", {"high": 128}, "rank: found 128, allowed: a whole number from 1 to 64"),
        ("rank", {"step": 7, "high": 64}, None),
        ("size", {"values": [4, 5]}, "size: found 5, allowed: one of 4, 8, 16"),
        (
            "rank",
            {"choices": [1]},
            "rank: found {'choices': [1]}, allowed: {\"value\": …}, or any of the fields low, high",
        ),
        ("depth", {"high": 2}, "depth: found 'depth', allowed: one of the parameters method, rank, size, wide"),
    ],
)
def test_narrowing_cannot_widen(name: str, changes: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert SMALL.narrow(name, **changes).by_name[name].size == 10
        return
    with pytest.raises(InvalidOverride) as caught:
        SMALL.narrow(name, **changes)
    assert message in str(caught.value)


def test_freezing_costs_no_dimension_and_refuses_what_is_not_allowed() -> None:
    frozen = SMALL.freeze("wide", True)
    assert frozen.dimensions == SMALL.dimensions - 1
    assert frozen.default["method"] == "adapter"
    with pytest.raises(InvalidOverride, match="wide: found 1, allowed: one of False, True"):
        SMALL.freeze("wide", 1)


def test_children_that_nothing_opens_any_more_leave_with_their_own_children() -> None:
    lora = SMALL.freeze("method", "lora")
    assert list(lora.by_name) == ["method", "rank"]
    assert lora.conditions == (Condition("rank", "method", ("lora",)),)
    assert lora.constraints == (SumAtLeast(("rank",), 2),)
    assert lora.count() == 63


def test_add_refuses_a_name_that_is_taken() -> None:
    with pytest.raises(InvalidOverride, match=r"rank: .* a new name"):
        SMALL.add(Int("rank", 1, 2))
    grown = SMALL.add(Float("dropout", 0, 1), Condition("dropout", "method", ("lora",)))
    assert list(grown.by_name)[-1] == "dropout"


def test_configurations_carry_over_when_they_have_a_place_in_the_new_space() -> None:
    old = {"method": "lora", "rank": 8}
    assert SMALL.carry_over(old) == old
    assert SMALL.narrow("rank", high=4).carry_over(old) is None
    grown = SMALL.add(Float("dropout", 0, 1), Condition("dropout", "method", ("lora",)))
    assert grown.carry_over(old) is None
    assert grown.carry_over(old, {"dropout": 0.0}) == {"method": "lora", "rank": 8, "dropout": 0.0}
    assert grown.carry_over({"method": "adapter", "size": 4}, {"dropout": 0.0}) == {"method": "adapter", "size": 4}
    assert SMALL.carry_over({**old, "unknown": 1}) is None


def test_overrides_narrow_fix_and_redeclare() -> None:
    space = apply_overrides(
        preset("lora", SHAPE),
        {"rank": {"low": 2, "high": 16}},
        {"batch_size": {"value": 48}, "targets": {"choices": ["qv", "all"]}, "schedule": {"value": "cosine"}},
        {"learning_rate": {"low": 1e-6}, "weight_decay": {"type": "ordinal", "values": [0.0, 0.5]}},
    )
    assert space.by_name["rank"] == Int("rank", 2, 16, "log", prior=Bell(8, 0.4))
    assert space.by_name["batch_size"] == Categorical("batch_size", (48,))
    assert space.by_name["targets"] == Categorical("targets", ("qv", "all"))
    assert space.by_name["learning_rate"] == Float("learning_rate", 1e-6, 1e-2, "log", prior=Bell(7e-4, 0.3))
    assert space.by_name["weight_decay"] == Ordinal("weight_decay", (0.0, 0.5))


def test_a_training_hyperparameter_that_the_preset_leaves_out_joins_the_space() -> None:
    space = apply_overrides(
        preset("lora", SHAPE),
        {
            "label_smoothing": {"high": 0.2},
            "schedule": {"value": "power"},
            "power_amplitude": {"low": 1e-3, "high": 1.0},
        },
    )
    assert space.by_name["label_smoothing"] == Float("label_smoothing", 0.0, 0.2)
    assert space.by_name["power_amplitude"] == Float("power_amplitude", 1e-3, 1.0, "log")
    tree = Space((Float("lora.learning_rate", 1e-4, 1e-2, "log"),))
    with pytest.raises(InvalidOverride, match=r"allowed: one of the parameters lora\.learning_rate"):
        apply_overrides(tree, {"learning_rate": {"low": 1e-6}})


def test_a_numeric_ordinal_takes_a_range() -> None:
    space = apply_overrides(preset("autopeft", SHAPE), {"serial_size": {"low": 3, "high": 48}})
    assert space.by_name["serial_size"] == Ordinal("serial_size", (3, 6, 12, 24, 48))


def test_training_hyperparameters_are_found_behind_a_methods_prefix() -> None:
    tree = Space((Float("lora.learning_rate", 1e-4, 1e-2, "log"),))
    assert apply_overrides(tree, {"lora.learning_rate": {"low": 1e-6}}).by_name["lora.learning_rate"].contains(2e-6)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rnk", {"value": 4}, "rnk: found 'rnk', allowed: one of the parameters method, rank"),
        ("rank", 4, 'rank: found 4, allowed: {"value": …}, or any of the fields low, high, scale, step, prior'),
        ("rank", {}, "rank: found {}, allowed"),
        ("rank", {"value": 2.5}, "rank: found 2.5, allowed: a whole number from 1 to 64"),
        ("rank", {"value": 8, "low": 2}, "rank: found {'value': 8, 'low': 2}, allowed: `value` alone"),
        ("rank", {"low": 99}, "rank: found {'low': 99}, allowed: `high` must be `low` plus a whole number of steps"),
        ("rank", {"high": 4096}, "rank: found 4096, allowed: a whole number from 1 to 64"),
        ("rank", {"high": "many"}, "rank: found {'high': 'many'}, allowed: `low`, `high` and `step` must be whole"),
        ("top_layers", {"value": 7}, "top_layers: found 7, allowed: a whole number from 1 to 6"),
        ("targets", {"choices": ["qv", "qkv"]}, "targets: found 'qkv', allowed: one of 'qv', 'attention'"),
        ("targets", {"low": 1}, "targets: found {'low': 1}, allowed"),
        (
            "learning_rate",
            {"value": "1e-4"},
            "learning_rate: found '1e-4', allowed: a number from 1e-08 to 10 (text; YAML",
        ),
        ("learning_rate", {"value": 100}, "learning_rate: found 100, allowed: a number from 1e-08 to 10"),
        ("learning_rate", {"type": "float", "low": 0.1}, "learning_rate: found {'type': 'float', 'low': 0.1}, allowed"),
        ("batch_size", {"value": 0}, "batch_size: found 0, allowed: a whole number from 1 to 65536"),
        (
            "batch_size",
            {"low": 100, "high": 200},
            "batch_size: found {'low': 100, 'high': 200}, allowed: a range around",
        ),
        ("batch_size", {"low": "a"}, "batch_size: found {'low': 'a'}, allowed: numbers"),
        ("schedule", {"value": "step"}, "schedule: found 'step', allowed: one of 'linear', 'cosine', 'constant'"),
        ("dropout", {"prior": {"mode": 5}}, "dropout: found {'prior': {'mode': 5}}, allowed: prior: found mode 5"),
    ],
)
def test_a_wrong_override_is_refused_with_name_found_and_allowed(name: str, change: Any, message: str) -> None:
    with pytest.raises(InvalidOverride) as caught:
        apply_overrides(preset("lora", SHAPE), {name: change})
    assert caught.value.parameter == name
    assert message in str(caught.value)
