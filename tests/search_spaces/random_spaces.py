"""Hypothesis strategies for spaces of every shape: kinds, scales, priors, trees of conditions, constraints."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from search_spaces.conditions import Condition
from search_spaces.constraints import (
    Constraint,
    Divides,
    Predicate,
    SumAtLeast,
    SumAtMost,
    check_fits,
    register_predicate,
)
from search_spaces.errors import InvalidSpace
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter, Simplex
from search_spaces.priors import Bell, Weights
from search_spaces.space import Space

SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), st.floats(-5, 5), st.text(max_size=3), st.none())


def _is_short(config: Any) -> bool:
    return len(repr(sorted(config.items(), key=repr))) % 3 > 0


register_predicate("tests.short", _is_short)


@st.composite
def floats(draw: st.DrawFn, name: str) -> Float:
    scale = draw(st.sampled_from(["linear", "log", "logit"]))
    within = {
        "linear": st.floats(-1e9, 1e9),
        "log": st.floats(1e-12, 1e12),
        "logit": st.floats(1e-9, 1 - 1e-9),
    }[scale]
    low, high = sorted([draw(within), draw(within)])
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        low, high = (low / 2, high) if scale != "linear" else (low - 1, high + 1)
    mode = draw(st.none() | st.floats(low, high))
    return Float(name, low, high, scale, None if mode is None else Bell(mode, draw(st.floats(0.01, 1))))


@st.composite
def ints(draw: st.DrawFn, name: str) -> Int:
    scale = draw(st.sampled_from(["linear", "log"]))
    low = draw(st.integers(-1000, 1000) if scale == "linear" else st.integers(1, 1000))
    step = draw(st.sampled_from([1, 1, 2, 7]))
    steps = draw(st.integers(0, 9) | st.integers(0, 10**6))
    mode = draw(st.none() | st.integers(0, steps))
    prior = None if mode is None else Bell(low + step * mode, draw(st.floats(0.01, 1)))
    return Int(name, low, low + step * steps, scale, step, prior)


@st.composite
def listed(draw: st.DrawFn, name: str) -> Ordinal | Categorical:
    values = tuple(draw(st.lists(SCALARS, min_size=1, max_size=6, unique=True)))
    if draw(st.booleans()):
        return Ordinal(name, values, draw(st.none() | st.sampled_from(values).map(Bell)))
    weights = st.tuples(*(st.floats(0.01, 10) for _ in values)).map(Weights)
    return Categorical(name, values, draw(st.none() | weights))


def simplexes(name: str) -> st.SearchStrategy[Simplex]:
    return st.integers(2, 8).map(lambda parts: Simplex(name, tuple(f"part{index}" for index in range(parts))))


def parameters(name: str) -> st.SearchStrategy[Parameter]:
    return st.one_of(floats(name), ints(name), listed(name), simplexes(name))


@st.composite
def conditions(draw: st.DrawFn, children: list[Parameter]) -> list[Condition]:
    found = []
    for position, child in enumerate(children):
        parents = [parent for parent in children[:position] if parent.size is not None and parent.size <= 20]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            values = list(parent.grid())
            wanted = draw(st.lists(st.sampled_from(range(len(values))), min_size=1, unique=True))
            found.append(Condition(child.name, parent.name, tuple(values[index] for index in wanted)))
    return found


@st.composite
def constraints(draw: st.DrawFn, over: list[Parameter]) -> list[Constraint]:
    names = [parameter.name for parameter in over]
    some = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True).map(tuple)
    limit = st.integers(-1000, 1000)
    rules: st.SearchStrategy[Constraint] = st.one_of(
        st.builds(SumAtMost, some, limit),
        st.builds(SumAtLeast, some, limit),
        st.builds(Divides, st.sampled_from(names), st.sampled_from(names) | st.sampled_from([12, 384, 768])),
        st.builds(lambda ties: Predicate("tests.short", ties, "must be short"), some),
    )
    by_name = {parameter.name: parameter for parameter in over}
    return [rule for rule in draw(st.lists(rules, max_size=2)) if _makes_sense(rule, by_name)]


def _makes_sense(rule: Constraint, by_name: dict[str, Parameter]) -> bool:
    try:
        check_fits(rule, by_name)
    except InvalidSpace:
        return False
    return True


@st.composite
def spaces(draw: st.DrawFn, constrained: bool = True) -> Space:
    """Any space of one to six parameters; with constraints it may hold little or nothing."""
    count = draw(st.integers(1, 6))
    names = draw(st.lists(st.text(min_size=1, max_size=4), min_size=count, max_size=count, unique=True))
    own = [draw(parameters(name)) for name in names]
    tree = draw(conditions(own))
    order = draw(st.permutations(own))
    return Space(tuple(order), tuple(tree), tuple(draw(constraints(own)) if constrained else ()))
