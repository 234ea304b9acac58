"""Fronts, layers, volumes, reference points and knees against slow definitions and known values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optimizers.pareto import crowding, hypervolume, infer_reference, knee, non_dominated, non_domination_ranks

# Few distinct values, so that ties and duplicates are common.
TIED = st.integers(1, 4).flatmap(
    lambda m: st.integers(0, 24).flatmap(
        lambda n: arrays(np.float64, (n, m), elements=st.sampled_from([0, 1, 2, np.inf]))
    )
)


def _dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@given(TIED)
def test_front_is_what_the_definition_says(values: np.ndarray) -> None:
    expected = [not any(_dominates(other, row) for other in values) for row in values]
    assert non_dominated(values).tolist() == expected


@given(TIED)
def test_layers_are_fronts_of_what_is_left(values: np.ndarray) -> None:
    ranks = non_domination_ranks(values)
    for layer in range(int(ranks.max(initial=-1)) + 1):
        left = ranks >= layer
        assert non_dominated(values[left]).tolist() == (ranks[left] == layer).tolist()


def test_nan_rows_are_no_points() -> None:
    values = np.array([[np.nan, 0.0], [1.0, 1.0], [2.0, 2.0]])
    assert non_dominated(values).tolist() == [False, True, False]
    assert non_domination_ranks(values).tolist() == [2, 0, 1]


@pytest.mark.parametrize("objectives", [2, 3])
def test_front_of_many_points(objectives: int) -> None:
    values = np.random.default_rng(0).random((20_000, objectives))
    chosen = non_dominated(values)
    front = values[chosen]

    def dominated(point: np.ndarray) -> bool:
        return bool(((front <= point).all(1) & (front < point).any(1)).any())

    assert [dominated(point) for point in values] == (~chosen).tolist()


def test_layers_of_a_long_chain() -> None:
    chain = np.repeat(np.arange(20_000.0)[:, None], 2, axis=1)
    assert non_domination_ranks(chain).tolist() == list(range(20_000))


@given(
    st.integers(1, 4).flatmap(
        lambda m: st.integers(0, 7).flatmap(lambda n: arrays(np.float64, (n, m), elements=st.integers(0, 5)))
    )
)
def test_hypervolume_counts_the_dominated_unit_cells(values: np.ndarray) -> None:
    m = values.shape[1]
    cells = np.array(list(itertools.product(range(4), repeat=m)), dtype=float)
    dominated = sum(any((row <= cell).all() for row in values) for cell in cells)
    assert hypervolume(values, np.full(m, 4.0)) == pytest.approx(dominated)


def test_hypervolume_names_a_mismatched_reference() -> None:
    with pytest.raises(ValueError, match=r"\[n, 3\].*\(1, 2\)"):
        hypervolume(np.zeros((1, 2)), np.ones(3))


def test_reference_lies_beyond_the_front_and_ignores_what_is_not_finite() -> None:
    values = np.array([[0.0, 1.0], [1.0, 0.0], [5.0, 5.0], [np.inf, 0.0]])
    assert infer_reference(values) == pytest.approx([1.1, 1.1])


def test_reference_of_constant_values_still_leaves_room() -> None:
    assert infer_reference(np.array([[2.0, 0.0], [2.0, 0.0]])) == pytest.approx([2.2, 0.1])
    with pytest.raises(ValueError, match="finite"):
        infer_reference(np.full((3, 2), np.nan))


def test_knee_is_the_bend() -> None:
    values = np.array([[0.0, 10.0], [1.0, 1.0], [10.0, 0.0], [0.5, 20.0]])
    assert knee(values) == 1


def test_crowding_prefers_extremes_then_lonely_points() -> None:
    values = np.array([[0.0, 10.0], [1.0, 9.0], [2.0, 5.0], [10.0, 0.0]])
    distances = crowding(values)
    assert np.isinf(distances[[0, 3]]).all()
    assert distances[2] > distances[1]
