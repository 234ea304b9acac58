"""Spaces by example: what they refuse, count, list, sample and change."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from search_spaces.conditions import Condition
from search_spaces.constraints import Divides, Predicate, SumAtLeast, SumAtMost, register_predicate
from search_spaces.errors import InvalidConfig, InvalidSpace, SpaceTooConstrained
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter, Simplex
from search_spaces.priors import Bell
from search_spaces.space import Space, config_hash

TREE = Space(
    (
        Categorical("method", ("lora", "adapter", "head")),
        Int("rank", 1, 8, "log"),
        Categorical("variant", ("plain", "dora")),
        Ordinal("size", (4, 8, 16)),
        Float("learning_rate", 1e-5, 1e-1, "log"),
    ),
    (
        Condition("rank", "method", ("lora",)),
        Condition("variant", "rank", (4, 8)),
        Condition("size", "method", ("adapter",)),
    ),
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_configuration_holds_active_parameters_only() -> None:
    for config in TREE.sample(200, rng()):
        assert ("rank" in config) == (config["method"] == "lora")
        assert ("variant" in config) == (config.get("rank") in (4, 8))
        assert ("size" in config) == (config["method"] == "adapter")


def test_inactive_dimensions_are_masked_and_neutral() -> None:
    encoded = TREE.encode([{"method": "head", "learning_rate": 1e-3}])
    np.testing.assert_allclose(encoded.values, [[0, 0, 1, 0.5, 0.5, 0.5, 0.5]])
    assert encoded.active.tolist() == [[True, True, True, False, False, False, True]]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"method": "lora", "learning_rate": 1e-3}, "rank: found None, allowed: a whole number from 1 to 8 (the"),
        ({"method": "lora", "rank": 9, "learning_rate": 1e-3}, "rank: found 9, allowed: a whole number from 1 to 8"),
        ({"method": "lora", "rank": 1, "learning_rate": 0.5}, "learning_rate: found 0.5, allowed: a number from 1e-05"),
        ({"method": "sgd"}, "method: found 'sgd', allowed: one of 'lora', 'adapter', 'head'"),
        ({"method": "head", "rank": 2}, "rank: found 2, allowed: nothing: it exists only when method is 'lora'"),
        ({"methd": "head"}, "methd: found 'head', allowed: no such parameter; the space has method, rank"),
        (["head"], "configuration: found ['head'], allowed: an object"),
    ],
)
def test_an_invalid_configuration_is_refused_with_name_value_and_allowed_set(config: Any, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        TREE.validate(config)
    assert message in str(caught.value)
    assert not TREE.contains(config)


def test_a_violated_constraint_names_its_parameters_and_values() -> None:
    space = Space((Int("block", 1, 10), Int("rank", 1, 10)), constraints=(Divides("block", 384),))
    with pytest.raises(InvalidConfig, match=r"block: found \{'block': 5\}, allowed: block must divide 384"):
        space.validate({"block": 5, "rank": 1})


def test_the_count_follows_the_tree() -> None:
    assert TREE.count() is None
    # head; three sizes; six ranks without a variant and two with two variants
    assert TREE.freeze("learning_rate", 1e-3).count() == 1 + 3 + 6 + 2 * 2


def test_count_and_list_with_constraints() -> None:
    space = Space(
        (*(Categorical(f"layer_{index}", (False, True)) for index in range(3)), Int("size", 1, 12)),
        constraints=(SumAtLeast(("layer_0", "layer_1", "layer_2"), 1), Divides("size", 12)),
    )
    assert space.count() == (2**3 - 1) * 6
    assert len(list(space.enumerate())) == 42


def test_a_large_tied_group_is_counted_without_its_constraint() -> None:
    space = Space(tuple(Int(name, 1, 1001) for name in "ab"), constraints=(SumAtMost(("a", "b"), 100),))
    assert space.count() == 1001**2


def test_sampling_an_unsatisfiable_space_says_which_rule_leaves_nothing() -> None:
    space = Space((Float("a", 0, 1), Float("b", 0, 1)), constraints=(SumAtLeast(("a", "b"), 3),))
    with pytest.raises(SpaceTooConstrained, match=r"0 of .* 'a \+ b must be at least 3' holds for 0.0%"):
        space.sample(1, rng())


def test_a_needle_in_a_finite_space_is_found_and_nothing_is_reported_as_nothing() -> None:
    sizes = tuple(Int(name, 1, 50) for name in "abc")
    needle = Space(sizes, constraints=(SumAtLeast(("a", "b", "c"), 150),))
    assert needle.sample(3, rng()) == [{"a": 50, "b": 50, "c": 50}] * 3
    assert needle.default == {"a": 50, "b": 50, "c": 50}
    nothing = Space(sizes, constraints=(SumAtLeast(("a", "b", "c"), 151),))
    assert nothing.count() == 0
    with pytest.raises(SpaceTooConstrained, match="no configuration satisfies all constraints"):
        nothing.sample(1, rng())


def test_a_listed_group_is_still_drawn_by_its_prior() -> None:
    sizes = (Int("a", 1, 100, prior=Bell(100, 0.05)), Int("b", 1, 100))
    space = Space(sizes, constraints=(SumAtMost(("b",), 4), Divides("b", "a")))
    drawn = [config["a"] for config in space.sample(300, rng())]
    assert min(drawn) > 60


def test_a_point_that_breaks_a_rule_becomes_the_nearest_valid_configuration() -> None:
    space = Space((Int("a", 1, 10), Int("b", 1, 20)), constraints=(SumAtMost(("a", "b"), 22),))
    # From (5, 20), three steps of b are shorter than three of a.
    assert space.decode(np.array([[0.45, 0.975]])) == [{"a": 5, "b": 17}]
    assert space.decode(np.array([[0.95, 0.05]])) == [{"a": 10, "b": 1}]


def test_a_predicate_sees_only_what_it_is_registered_for() -> None:
    register_predicate("tests.even", lambda config: set(config) == {"a"} and config["a"] % 2 == 0)
    space = Space((Int("a", 1, 4), Int("b", 1, 2)), constraints=(Predicate("tests.even", ("a",), "a must be even"),))
    assert {config["a"] for config in space.enumerate()} == {2, 4}
    with pytest.raises(InvalidSpace, match=r"unknown predicate 'tests.odd'; registered: .*tests.even"):
        Predicate("tests.odd", ("a",), "a must be odd")
    with pytest.raises(InvalidSpace, match="registered already"):
        register_predicate("tests.even", lambda _: True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space(()), "a space needs at least one parameter"),
        (lambda: Space((Float("x", 0, 1), Int("x", 0, 1))), "parameter names must differ, found twice: x"),
        (lambda: linked(("b", "x")), "condition: unknown parent 'x'; parameters are a, b, c"),
        (lambda: linked(("b", "a"), ("b", "c")), "b has two conditions"),
        (lambda: linked(("a", "b"), ("b", "a")), "these parameters wait for each other: a, b"),
        (lambda: linked(("b", "a"), value=9), "b waits for a = 9, but a is a whole number from 0 to 3"),
        (lambda: tied(SumAtMost(("x", "y"), 1)), "constraint 'x + y must be at most 1': unknown parameter 'y'"),
        (lambda: tied(Divides("x", 4)), "x must hold whole numbers, it is a number from 0 to 1"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        make()
    assert message in str(caught.value)


def linked(*pairs: tuple[str, str], value: int = 1) -> Space:
    own: tuple[Parameter, ...] = tuple(Int(name, 0, 3) for name in "abc")
    return Space(own, tuple(Condition(child, parent, (value,)) for child, parent in pairs))


def tied(rule: Any) -> Space:
    return Space((Float("x", 0, 1),), constraints=(rule,))


def test_a_parent_that_is_continuous_is_refused() -> None:
    with pytest.raises(InvalidSpace, match="b hangs on x, which is continuous"):
        Space((Float("x", 0, 1), Int("b", 0, 1)), (Condition("b", "x", (0.5,)),))


def test_hash_is_stable_across_releases() -> None:
    config = {"method": "lora", "rank": 8, "learning_rate": 0.0005, "use_dora": False, "mixture": [0.25, 0.75]}
    assert config_hash(config) == "901beb5c99563a02"
    assert config_hash({"x": 1.0}) == config_hash({"x": 1})
    assert config_hash({"x": True}) != config_hash({"x": 1})


def test_the_package_needs_nothing_but_numpy() -> None:
    code = "import sys, search_spaces.presets, search_spaces.presets.reference; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert "numpy" in roots
    assert not roots & {"torch", "ray", "pydantic", "scipy", "pandas", "workers", "optimizers", "service"}


def test_a_mixture_travels_with_other_parameters() -> None:
    space = Space((Simplex("mixture", ("web", "code", "books")), Int("rank", 1, 4)))
    configs = space.sample(50, rng())
    assert space.dimensions == 3
    assert space.decode(space.encode(configs).values) == configs
