"""Importance, expectation and sensitivity on a function whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from predictors.answer import OutOfDomain
from predictors.insights import MetricModel, fit_metric
from search_spaces.parameters import Categorical, Float, Int
from search_spaces.space import Space

SPACE = Space(
    (
        Float("learning_rate", 1e-5, 1e-1, scale="log"),
        Int("rank", 1, 64, scale="log"),
        Categorical("targets", ("qv", "all")),
        Float("dropout", 0.0, 0.5),
    )
)


def _accuracy(config: dict[str, Any]) -> float:
    """Learning rate matters most, then targets, rank a little, dropout not at all."""
    rate = np.log10(config["learning_rate"]) + 3
    return float(0.9 - 0.05 * rate**2 + 0.06 * (config["targets"] == "all") + 0.005 * np.log2(config["rank"]))


@pytest.fixture(scope="module")
def model() -> MetricModel:
    rng = np.random.default_rng(0)
    trials = [(config, _accuracy(config) + rng.normal(0, 0.003)) for config in SPACE.sample(60, rng)]
    return fit_metric(SPACE, trials, "accuracy")


def test_importance_orders_parameters_and_is_unsure_only_where_it_must_be(model: MetricModel) -> None:
    shares = model.importance(np.random.default_rng(1))
    assert list(shares)[:2] == ["learning_rate", "targets"]
    assert shares["learning_rate"].value > 0.6
    assert shares["dropout"].value < 0.05
    assert all(one.low <= one.value <= one.high for one in shares.values())


@pytest.mark.parametrize("count", [8, 40])
def test_no_share_of_the_variation_is_more_than_all_of_it(count: int) -> None:
    """Of 3a + 2b over the unit square a holds 9/13 and b 4/13; a few bases must neither pass 1 nor lean to one side."""
    space = Space((Float("a", 0.0, 1.0), Float("b", 0.0, 1.0)))
    shares = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        trials = [(one, 3 * one["a"] + 2 * one["b"] + rng.normal(0, 0.01)) for one in space.sample(count, rng)]
        shares.append(fit_metric(space, trials, "sum").importance(rng))
    assert all(0 <= one.low <= one.value <= one.high <= 1 for found in shares for one in found.values())
    assert np.mean([found["a"].value for found in shares]) == pytest.approx(9 / 13, abs=0.06)
    assert np.mean([found["b"].value for found in shares]) == pytest.approx(4 / 13, abs=0.06)


def test_expectations_cover_configurations_never_run(model: MetricModel) -> None:
    fresh = SPACE.sample(200, np.random.default_rng(7))
    found = [model.expect(config) for config in fresh]
    inside = [one.low <= _accuracy(config) <= one.high for one, config in zip(found, fresh, strict=True)]
    assert np.mean(inside) > 0.85
    assert np.corrcoef([one.value for one in found], [_accuracy(config) for config in fresh])[0, 1] > 0.97


def test_sensitivity_tells_what_doubling_does(model: MetricModel) -> None:
    config = {"learning_rate": 1e-4, "rank": 8, "targets": "qv", "dropout": 0.1}
    changes = {(one.parameter, one.value): one.change for one in model.sensitivity(config)}
    doubled = changes[("learning_rate", 2e-4)]
    truth = _accuracy(config | {"learning_rate": 2e-4}) - _accuracy(config)
    assert doubled.low < truth < doubled.high
    assert doubled.value == pytest.approx(truth, abs=0.02)
    assert ("rank", 16) in changes
    assert changes[("targets", "all")].value == pytest.approx(0.06, abs=0.02)


def test_a_slice_follows_the_function_and_covers_it(model: MetricModel) -> None:
    config = {"learning_rate": 1e-4, "rank": 8, "targets": "qv", "dropout": 0.1}
    rates = model.slice(config, "learning_rate")
    assert [rates[0][0], rates[-1][0]] == pytest.approx([1e-5, 1e-1])
    truth = np.array([_accuracy(config | {"learning_rate": rate}) for rate, _ in rates])
    found = np.array([estimate.value for _, estimate in rates])
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    inside = [estimate.low <= true <= estimate.high for (_, estimate), true in zip(rates, truth, strict=True)]
    assert np.mean(inside) > 0.8
    assert [value for value, _ in model.slice(config, "targets")] == ["qv", "all"]
    ranks = [value for value, _ in model.slice(config, "rank")]
    assert ranks == sorted(set(ranks))
    assert (ranks[0], ranks[-1]) == (1, 64)
    with pytest.raises(OutOfDomain, match="parameter: found 'colour'"):
        model.slice(config, "colour")


def test_metrics_over_decades_are_modelled_by_their_logarithm() -> None:
    configs = SPACE.sample(30, np.random.default_rng(3))
    trials = [(config, 1000.0 * config["rank"]) for config in configs]
    model = fit_metric(SPACE, trials, "trainable_params")
    assert model.logarithmic
    found = model.expect(configs[0] | {"rank": 32})
    assert found.value == pytest.approx(32_000, rel=0.15)
    assert 0 < found.low < found.high


def test_too_little_evidence_is_refused(model: MetricModel) -> None:
    configs = SPACE.sample(20, np.random.default_rng(0))
    with pytest.raises(OutOfDomain, match="at least 8"):
        fit_metric(SPACE, [(config, 1.0) for config in configs[:3]], "accuracy")
    with pytest.raises(OutOfDomain, match="differ"):
        fit_metric(SPACE, [(config, 0.5) for config in configs], "accuracy")
    with pytest.raises(OutOfDomain, match=r"config\.rank"):
        model.expect(configs[0] | {"rank": 1000})


def test_measuring_a_lucky_trial_again_is_expected_to_give_less() -> None:
    rng = np.random.default_rng(3)
    trials = [(config, _accuracy(config) + rng.normal(0, 0.003)) for config in SPACE.sample(40, rng)]
    lucky, value = max(trials, key=lambda trial: trial[1])
    flattered = fit_metric(SPACE, [t for t in trials if t[0] != lucky] + [(lucky, value + 0.05)], "accuracy")
    again = flattered.expect_again(lucky)
    assert again.value < value + 0.05
    assert again.low < value + 0.003
    new = SPACE.sample(1, rng)[0]
    assert flattered.expect_again(new) == flattered.expect(new)
