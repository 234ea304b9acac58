"""Promises of a search and what fresh seeds on unseen rows make of them."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.confirmation import gain_interval, mean_interval, promise, survived
from predictors.insights import fit_metric
from search_spaces.parameters import Float
from search_spaces.space import Space

SPACE = Space((Float("x", 0.0, 1.0),))


def test_the_interval_of_a_mean_is_students() -> None:
    found = mean_interval([1.0, 2.0, 3.0], 0.9)
    assert (found.value, found.low) == (2.0, pytest.approx(2 - 2.919986 / 3**0.5))  # t(0.95, 2 degrees) = 2.919986
    assert mean_interval([0.5, 0.5], 0.9).low == 0.5


def test_gains_are_taken_in_pairs_so_what_a_seed_does_to_both_cancels() -> None:
    reference = {1: 0.70, 2: 0.80, 3: 0.60, 9: 0.1}
    better = {seed: value + 0.05 for seed, value in reference.items() if seed != 9}
    found = gain_interval(better, reference, 1.0, 0.9)
    assert (found.low, found.high) == (pytest.approx(0.05), pytest.approx(0.05))
    assert gain_interval(better, reference, -1.0, 0.9).value == pytest.approx(-0.05)


def test_the_share_that_survived() -> None:
    assert survived(0.2, 0.15) == pytest.approx(0.75)
    assert survived(0.2, -0.1) == pytest.approx(-0.5)
    assert survived(0.0, 0.1) is None


def test_what_is_promised_of_the_winner_covers_its_truth_where_its_own_measurement_flatters_it() -> None:
    """Searches on a known curve, rows drawn anew: 90 % intervals must cover about 90 % of what winners reach again."""
    rng = np.random.default_rng(7)
    covered, flattered, searches, rows = 0, 0.0, 150, (100, 400)
    for _ in range(searches):
        xs = rng.random(16)
        shift = rng.normal(0, np.sqrt(0.2 * 0.8 / rows[0]))  # what this sample of rows does to every trial alike
        measured = 0.8 - 0.1 * (xs - 0.6) ** 2 + shift + rng.normal(0, 0.02, 16)
        best = int(np.argmax(measured))
        model = fit_metric(SPACE, [({"x": x}, y) for x, y in zip(xs, measured, strict=True)], "accuracy", 0.9)
        told = promise(model, {"x": xs[best]}, share=True, rows=rows)
        fresh = 0.8 - 0.1 * (xs[best] - 0.6) ** 2 + rng.normal(0, np.sqrt(0.2 * 0.8 / rows[1]))
        mean = fresh + rng.normal(0, 0.02, 3).mean()
        covered += told.low <= mean <= told.high
        flattered += (measured[best] - mean) / searches
    assert covered / searches >= 0.86  # binomial: 0.9 less two standard errors of 150 searches, rounded
    assert flattered > 0.01
