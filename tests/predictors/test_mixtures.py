"""Mixture regression and search: against a known surface, against public runs, and what they refuse."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from predictors.answer import OutOfDomain
from predictors.gaussian_process import _negative_log_posterior, fit_gaussian_process
from predictors.mixture_answer import answer, table
from predictors.mixture_design import MOST_EPOCHS, limited, sample_mixtures
from predictors.mixture_regression import fit_mixture_regression
from predictors.mixture_search import recommend

DOMAINS = ("web", "code", "books")


def _loss(weights: np.ndarray) -> np.ndarray:
    """Lowest at 60 % web, 30 % code, 10 % books: diminishing returns of each."""
    ideal = np.array([0.6, 0.3, 0.1])
    return np.asarray(2.0 - np.sum(ideal * np.log(weights + 0.02), axis=-1) * 0.3)


@pytest.fixture(scope="module")
def measured() -> tuple[np.ndarray, np.ndarray]:
    """60 mixtures with a noisy loss."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3), 60)
    return weights, _loss(weights) + rng.normal(0, 0.005, 60)


def test_gradients_of_the_process_are_those_of_its_likelihood() -> None:
    rng = np.random.default_rng(1)
    points, wanted = rng.normal(size=(20, 3)), rng.normal(size=20)
    theta, centre = np.array([0.3, 0.8, -0.2, 0.1, -2.0]), np.zeros(5)
    for smoothness in (3, 5):
        _, gradient = _negative_log_posterior(theta, centre, points, wanted, smoothness)
        steps = 1e-5 * np.eye(5)
        numeric = [
            _negative_log_posterior(theta + step, centre, points, wanted, smoothness)[0]
            - _negative_log_posterior(theta - step, centre, points, wanted, smoothness)[0]
            for step in steps
        ]
        assert gradient == pytest.approx(np.array(numeric) / 2e-5, rel=1e-4, abs=1e-6)


def test_leave_one_out_equals_leaving_one_out() -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(size=(25, 2))
    process = fit_gaussian_process(x, np.sin(4 * x[:, 0]) + rng.normal(0, 0.1, 25))
    mean, spread = process.leave_one_out()
    targets = np.linalg.solve(process.precision, process.weights)
    covariance = np.linalg.inv(process.precision)
    keep = np.arange(25) != 7
    weights = np.linalg.solve(covariance[np.ix_(keep, keep)], covariance[keep, 7])
    assert mean[7] == pytest.approx(process.target_mean + process.target_scale * weights @ targets[keep], rel=1e-6)
    variance = covariance[7, 7] - weights @ covariance[keep, 7]
    assert spread[7] == pytest.approx(process.target_scale * np.sqrt(variance), rel=1e-5)


def test_the_recommended_mixture_is_near_the_best(measured: tuple[np.ndarray, np.ndarray]) -> None:
    regression = fit_mixture_regression(*measured, DOMAINS)
    found = recommend(regression, measured[0].mean(axis=0), np.random.default_rng(0), draws=5000)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert _loss(np.array(list(found.weights.values()))) < _loss(np.array([0.6, 0.3, 0.1])) + 0.01
    assert found.low < _loss(np.array(list(found.weights.values()))) < found.high
    assert found.loss + (found.high - found.low) / 2 <= measured[1].min() + 0.05
    assert all(effect.low < effect.change < effect.high for effect in found.effects)


def test_intervals_cover_new_mixtures(measured: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(5)
    fresh = rng.dirichlet(np.ones(3), 300)
    mean, half = fit_mixture_regression(*measured, DOMAINS, level=0.9).predict(fresh)
    assert np.mean(np.abs(_loss(fresh) + rng.normal(0, 0.005, 300) - mean) <= half) > 0.82


def _rows(weights: np.ndarray, losses: np.ndarray) -> list[Any]:
    return [
        (dict(zip(DOMAINS, map(float, w), strict=True)), {"a": float(y), "b": float(y) + 1})
        for w, y in zip(weights, losses, strict=True)
    ]


def test_a_table_is_answered_with_its_fit(measured: tuple[np.ndarray, np.ndarray]) -> None:
    found = answer(_rows(*measured), "a", None, 0.9, 0)
    assert found["fit"]["rank_correlation"] > 0.9
    assert found["warnings"] == []
    _, _, both = table(_rows(*measured), None)
    assert both.mean(axis=1) == pytest.approx(measured[1] + 0.5)


def test_noise_is_warned_of() -> None:
    rng = np.random.default_rng(3)
    found = answer(_rows(rng.dirichlet(np.ones(3), 12), rng.uniform(1, 2, 12)), "a", None, 0.9, 0)
    assert any("correlation" in warning for warning in found["warnings"])


def test_what_determines_no_mixture_is_refused(measured: tuple[np.ndarray, np.ndarray]) -> None:
    weights, losses = measured
    rows = _rows(weights, losses)
    odd = [*rows[:9], ({"web": 0.5, "moon": 0.5}, rows[0][1])]
    cases: list[tuple[list[Any], str | None, Any, str]] = [
        (rows[:2], None, None, "rows.*at least 8"),
        (_rows(weights, np.ones(60)), None, None, "losses.*differ"),
        (_rows(weights * 1.2, losses), None, None, r"rows\.0\.weights.*sum to one"),
        (_rows(weights - np.array([1, 0, -1]), losses), None, None, r"rows\.0\.weights.*negative"),
        (odd, None, None, r"rows\.9\.weights.*unknown: moon.*web, code, books"),
        (rows, "c", None, "target.*a, b"),
        (rows, None, {"web": 1.0, "code": 0.5, "books": 0.1}, "prior.*sum to one"),
        (rows, None, {"moon": 1.0}, "prior.*unknown: moon"),
    ]
    for bad, target, prior, words in cases:
        with pytest.raises(OutOfDomain, match=words):
            answer(bad, target, prior, 0.9, 0)


def test_public_runs_are_ranked_better_than_by_gradient_boosting(shared_data: Path) -> None:
    def read(name: str) -> np.ndarray:
        with (shared_data / "hpo/regmix" / name).open() as file:
            rows = sorted(csv.reader(file), key=lambda row: int(row[0]) if row[0].isdigit() else -1)
        return np.array([[float(value) for value in row[1:]] for row in rows[1:]])

    weights, losses = read("train_mixture_1m.csv")[:200], read("train_pile_loss_1m.csv")[:200, 8]
    regression = fit_mixture_regression(weights, losses, [str(number) for number in range(17)])
    unseen = read("test_mixture_1m.csv")
    predicted = regression.mean(unseen / unseen.sum(axis=1, keepdims=True))
    assert spearmanr(predicted, read("test_pile_loss_1m.csv")[:, 8]).statistic > 0.985


def test_a_mean_of_losses_is_learnt_loss_by_loss() -> None:
    rng = np.random.default_rng(5)
    weights = rng.dirichlet(np.ones(6), 32)
    names = [str(number) for number in range(6)]
    losses = 3 - np.sqrt(weights) + rng.normal(0, 0.01, weights.shape)
    regression = fit_mixture_regression(weights, losses, names)
    together = fit_mixture_regression(weights, losses.mean(axis=1), names)
    fresh = rng.dirichlet(np.ones(6), 200)
    truth = (3 - np.sqrt(fresh)).mean(axis=1)
    errors = [float(np.sqrt(np.mean((one.mean(fresh) - truth) ** 2))) for one in (regression, together)]
    assert errors[0] < errors[1]
    assert len(regression.mean(fresh, fast=True)) == 200


def test_drawn_mixtures_spread_around_the_prior_within_the_limits() -> None:
    prior, epochs = np.array([0.7, 0.25, 0.05]), np.array([0.5, 2.0, 60.0])
    drawn = sample_mixtures(prior, 400, epochs, seed=1)
    assert drawn.sum(axis=1) == pytest.approx(1)
    assert np.all(drawn * epochs <= MOST_EPOCHS + 1e-9)
    assert drawn[:, 0].max() > 0.95
    assert drawn.mean(axis=0)[0] > drawn.mean(axis=0)[1] > drawn.mean(axis=0)[2]
    assert np.array_equal(drawn, sample_mixtures(prior, 400, epochs, seed=1))
    assert not np.any((drawn > 0) & (drawn < 1e-4))
    assert limited(np.array([0.9, 0.1]), np.array([0.2, 0.3])) == pytest.approx([0.4, 0.6])
