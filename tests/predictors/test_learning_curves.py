"""Where learning curves end: known curves, calibration, degenerate input."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.learning_curves import MOST_POINTS, Curves, final_values

REPORTS = 10


def curves(lengths: list[int], seed: int = 0, noise: float = 0.02) -> tuple[Curves, np.ndarray]:
    """Exponential decays to a level that follows from two features, cut at `lengths`; and where each ends."""
    rng = np.random.default_rng(seed)
    features = rng.random((len(lengths), 2))
    levels, rates = 3.0 * ((features - 0.5) ** 2).sum(axis=1), rng.uniform(2.0, 6.0, len(lengths))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    times = np.concatenate([np.arange(1, n + 1) / REPORTS for n in lengths])
    values = levels[owner] + 2.0 * np.exp(-rates[owner] * times) + noise * rng.standard_normal(len(owner))
    return Curves(features, owner, times, values), levels + 2.0 * np.exp(-rates)


def test_a_few_finished_trials_tell_where_the_others_end() -> None:
    data, ends = curves([REPORTS] * 5 + [3] * 25)
    mean, variance = final_values(data)
    errors = (mean - ends)[5:]
    last = np.array([data.values[data.owner == trial][-1] for trial in range(30)])
    assert np.abs(errors).mean() < 0.5 * np.abs(last - ends)[5:].mean()
    assert np.corrcoef(mean[5:], ends[5:])[0, 1] > 0.85
    assert 0.3 < np.std(errors / np.sqrt(variance[5:])) < 2.5
    assert (np.abs(mean - ends)[:5] < 0.15).all()


def test_more_of_a_curve_leaves_less_doubt() -> None:
    doubts = [final_values(curves([REPORTS] * 4 + [n] * 12)[0])[1][4:].mean() for n in (1, 3, 8)]
    assert doubts[0] > doubts[1] > doubts[2]


def test_a_trial_without_points_is_judged_by_its_like() -> None:
    data, ends = curves([REPORTS] * 30 + [0])
    mean, variance = final_values(data)
    assert abs(mean[-1] - ends[-1]) < 2.5 * np.sqrt(variance[-1])
    assert variance[-1] > 2 * variance[:-1].mean()


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    data, ends = curves([REPORTS] * 100)
    thinned = data.thinned(MOST_POINTS)
    assert len(thinned.values) <= MOST_POINTS
    assert {(o, t) for o, t in zip(thinned.owner, thinned.times, strict=True) if t == 1.0} == {
        (trial, 1.0) for trial in range(100)
    }
    assert np.abs(final_values(data)[0] - ends).mean() < 0.2


@pytest.mark.parametrize("lengths", [[1], [1, 0], [REPORTS], [2] * 3])
@pytest.mark.parametrize("features", [0, 2])
def test_little_or_constant_data_gives_finite_answers(lengths: list[int], features: int) -> None:
    data, _ = curves(lengths)
    flat = Curves(data.features[:, :features], data.owner, data.times, np.zeros_like(data.values))
    for found in (final_values(flat), final_values(Curves(flat.features, data.owner, data.times, data.values))):
        assert all(np.isfinite(part).all() for part in found)
        assert (found[1] > 0).all()


def test_no_point_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at least one point, found none"):
        final_values(Curves(np.zeros((2, 1)), np.array([], dtype=int), np.array([]), np.array([])))
