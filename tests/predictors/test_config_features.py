"""Configurations of jobs with different spaces become comparable rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.config_features import encode


def test_rates_are_compared_by_factor_and_small_numbers_by_difference() -> None:
    rows = encode([{"learning_rate": rate, "layers": layers} for rate, layers in ((1e-5, 1), (1e-4, 2), (1e-3, 3))])
    np.testing.assert_allclose(rows, [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]])


def test_a_parameter_that_some_lack_has_a_column_of_its_own() -> None:
    rows = encode([{"rank": 1}, {"rank": 3}, {}])
    assert rows.tolist() == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.5]]


def test_two_choices_are_one_column_and_three_are_three() -> None:
    assert encode([{"dora": True}, {"dora": False}]).shape == (2, 1)
    rows = encode([{"targets": one} for one in ("qv", "all", "mlp")])
    assert sorted(rows.sum(axis=1)) == [1.0, 1.0, 1.0]


VALUES = st.one_of(st.booleans(), st.integers(-5, 5), st.floats(1e-6, 1e6), st.sampled_from(["a", "b", "c"]))


@given(st.lists(st.dictionaries(st.sampled_from(["x", "y", "z"]), VALUES), min_size=1, max_size=8))
def test_any_configurations_give_finite_rows_in_the_unit_cube(configs: list[dict[str, object]]) -> None:
    rows = encode(configs)
    assert rows.shape[0] == len(configs)
    assert np.isfinite(rows).all()
    assert rows.min() >= -1e-9
    assert rows.max() <= 1 + 1e-9
