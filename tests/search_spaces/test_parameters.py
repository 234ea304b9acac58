"""Encodings, priors and neighbours of the single kinds of parameters, by hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from search_spaces.errors import InvalidSpace
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter, Simplex
from search_spaces.priors import Bell, Weights
from search_spaces.simplex import to_cube


def encoded(parameter: Parameter, *values: object) -> list[list[float]]:
    rows: list[list[float]] = parameter.encode(list(values)).tolist()
    return rows


def test_a_linear_float_is_encoded_evenly() -> None:
    assert encoded(Float("x", -1, 3), -1, 0, 3) == [[0.0], [0.25], [1.0]]


def test_a_log_float_is_encoded_by_its_exponent() -> None:
    np.testing.assert_allclose(encoded(Float("x", 1e-5, 1e-1, "log"), 1e-5, 1e-3, 1e-2), [[0], [0.5], [0.75]])


def test_a_logit_float_is_symmetric_around_one_half() -> None:
    x = Float("x", 0.01, 0.99, "logit")
    np.testing.assert_allclose(encoded(x, 0.5, 0.1, 0.9), [[0.5], [0.26092], [0.73908]], atol=1e-5)


def test_a_linear_int_sits_in_the_middle_of_its_cell() -> None:
    np.testing.assert_allclose(encoded(Int("n", 2, 8, step=2), 2, 4, 8), [[1 / 8], [3 / 8], [7 / 8]])


def test_cells_of_a_log_int_shrink_and_none_is_lost() -> None:
    rank = Int("rank", 1, 64, "log")
    drawn = rank.decode(np.linspace(0, 1, 20_001)[:, None])
    counts = np.bincount(drawn)[1:]
    assert len(counts) == 64
    assert np.all(counts > 0)
    assert counts[0] > counts[1] > counts[7] > counts[40]


def test_an_ordinal_is_encoded_by_its_rank() -> None:
    np.testing.assert_allclose(encoded(Ordinal("size", (0, 1, 3, 384)), 0, 3), [[1 / 8], [5 / 8]])


def test_categoricals_are_one_hot_and_two_choices_share_a_column() -> None:
    three, two, one = Categorical("c", ("a", "b", "c")), Categorical("c", (False, True)), Categorical("c", (1,))
    assert encoded(three, "b", "c") == [[0, 1, 0], [0, 0, 1]]
    assert encoded(two, False, True) == [[0], [1]]
    assert encoded(one, 1) == [[]]
    assert [column.choice for column in (*three.columns, *two.columns, *one.columns)] == [0, 1, 2, 1]


def test_stick_breaking_makes_uniform_points_uniform_mixtures() -> None:
    parts = 4
    mixtures = np.array(Simplex("w", tuple("abcd")).draw(np.random.default_rng(0).random((20_000, parts - 1))))
    np.testing.assert_allclose(mixtures.sum(axis=1), 1, atol=1e-9)
    # Under Dirichlet(1, …, 1) every part has mean 1/K and variance (K − 1) / (K² (K + 1)).
    np.testing.assert_allclose(mixtures.mean(axis=0), 1 / parts, atol=0.005)
    np.testing.assert_allclose(mixtures.var(axis=0), (parts - 1) / (parts**2 * (parts + 1)), rtol=0.05)


def test_a_mixture_with_empty_parts_survives_the_cube() -> None:
    weights = Simplex("w", tuple("abcde"))
    for mixture in ([1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0], [0.5, 0.0, 0.5, 0.0, 0.0]):
        assert weights.decode(weights.encode([mixture])) == [mixture]
    assert np.all(np.isfinite(to_cube(np.eye(32))))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float("x", 0, 1), True),
        (Float("x", 0, 1), "0.5"),
        (Float("x", 0, 1), float("nan")),
        (Float("x", 0, 1), 10**400),
        (Int("n", 1, 5), 2.0),
        (Int("n", 1, 5), True),
        (Int("n", 1, 5, step=2), 2),
        (Ordinal("o", (1, 2)), True),
        (Ordinal("o", (1, 2)), 1.0),
        (Categorical("c", (False, True)), 0),
        (Categorical("c", ("a",)), ["a"]),
        (Categorical("c", ("a",)), {}),
        (Simplex("w", ("a", "b")), [0.5, 0.6]),
        (Simplex("w", ("a", "b")), [1.5, -0.5]),
        (Simplex("w", ("a", "b")), [1.0]),
    ],
)
def test_values_of_the_wrong_kind_are_not_contained(parameter: Parameter, value: object) -> None:
    assert not parameter.contains(value)


def test_a_whole_float_choice_is_found_when_json_dropped_its_point() -> None:
    assert Ordinal("norm", (0.1, 1.0)).contains(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float("lr", 1, 0.1), "lr: `low` must be below `high`, found 1 and 0.1"),
        (lambda: Float("lr", 0, 1, "log"), "lr: `low` must lie between 0 and inf on a log scale, found 0"),
        (lambda: Float("lr", 0, 1, "cubic"), "lr: scale: found 'cubic', allowed: linear, log, logit"),
        (lambda: Float("lr", "1e-4", 1), "found '1e-4' (text; YAML reads 1e-4 as text, write 1.0e-4)"),
        (lambda: Float("lr", 0, 10**400), "lr: `high` must be a finite number"),
        (lambda: Float("lr", "a", 1), "lr: `low` must be a finite number, found 'a'"),
        (lambda: Float("lr", 0, 1, prior=Bell(2)), "lr: prior: found mode 2, allowed: a number from 0 to 1"),
        (lambda: Int("r", 1, 8, step=2), "r: `high` must be `low` plus a whole number of steps"),
        (lambda: Int("r", 1.5, 8), "r: `low`, `high` and `step` must be whole numbers"),
        (lambda: Ordinal("o", ()), "o: `values` must be a list with at least one entry"),
        (lambda: Ordinal("o", (1, True)), "o: `values` must differ from one another"),
        (lambda: Categorical("c", ("a", "b"), Weights((1,))), "c: the prior of a categorical is one weight for each"),
        (lambda: Simplex("w", ("a",)), "w: a simplex has 2 to 32 parts, found 1"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_by_name(make: object, message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        make()  # type: ignore[operator]
    assert message in str(caught.value)


def test_a_bell_pulls_draws_to_its_mode_and_its_density_integrates_to_one() -> None:
    rate = Float("lr", 1e-5, 1e-1, "log", prior=Bell(1e-4, spread=0.1))
    drawn = np.log10(rate.draw(np.random.default_rng(0).random((5000, 1))))
    # The bell is centred at 0.25 of the axis, four decades wide, and cut off 2.5 spreads below.
    assert np.mean(drawn) == pytest.approx(-4, abs=0.05)
    assert np.std(drawn) == pytest.approx(0.4, abs=0.03)
    even = rate.decode((np.arange(10_000)[:, None] + 0.5) / 10_000)
    assert np.mean(np.exp(rate.log_prior(even))) == pytest.approx(1, abs=1e-3)
    assert rate.default == 1e-4


def test_weights_set_the_frequencies_of_choices() -> None:
    targets = Categorical("targets", ("qv", "mlp", "all"), Weights((1, 1, 2)))
    drawn = targets.draw(np.random.default_rng(0).random((4000, 1)))
    assert [drawn.count(choice) / 4000 for choice in targets.choices] == pytest.approx([0.25, 0.25, 0.5], abs=0.03)
    np.testing.assert_allclose(np.exp(targets.log_prior(["qv", "all"])), [0.75, 1.5])
    assert targets.default == "all"


def test_neighbours_of_single_values() -> None:
    assert Int("n", 1, 100).near(50) == [49, 51, 40, 60]
    assert Int("n", 1, 3).near(1) == [2]
    assert Ordinal("o", (8, 16, 32)).near(16) == [8, 32]
    assert Categorical("c", ("a", "b", "c")).near("b") == ["a", "c"]
    assert Float("x", 0, 1).near(0.05) == [0.0, 0.15]
    assert Simplex("w", ("a", "b")).near([0.95, 0.05]) == [[0.85, 0.15], [1.0, 0.0]]


def test_a_resolution_thins_long_ranges_only() -> None:
    assert list(Float("x", 0, 1).grid(3)) == [0.0, 0.5, 1.0]
    assert list(Int("n", 1, 4).grid(9)) == [1, 2, 3, 4]
    assert list(Int("n", 0, 1000).grid(3)) == [0, 500, 1000]
    assert sorted(Simplex("w", ("a", "b", "c")).grid(2)) == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
