"""Published worked values, and what each law promises of itself."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from predictors.answer import OutOfDomain
from predictors.critical_batch import LossSurface, critical_batch, fit_loss_surface, loss_trajectory
from predictors.lora_learning_rate import lora_learning_rate
from predictors.power import PowerLaw, fit_amplitude, power
from predictors.step_law import step_law


def test_step_law_reproduces_its_worked_value() -> None:
    answer = step_law(1.07e9, 2e10)
    assert answer.quantities["learning_rate"].value == pytest.approx(9.5e-4, rel=2e-3)
    assert round(answer.quantities["batch_sequences"].value) == 216
    assert answer.warnings == ()


def test_step_law_interval_widens_away_from_its_data() -> None:
    inside = step_law(5e8, 2e10).quantities["learning_rate"].interval
    far = step_law(4.4e6, 1e6).quantities["learning_rate"].interval
    assert inside is not None
    assert far is not None
    assert far.high / far.low > 1.5 * inside.high / inside.low


def test_step_law_warns_when_it_extrapolates() -> None:
    warnings = step_law(4.4e6, 1e6).warnings
    assert any("parameters" in warning for warning in warnings)
    assert any("tokens" in warning for warning in warnings)


def test_step_law_interval_agrees_with_the_published_bootstrap_fits(shared_data: Path) -> None:
    with (shared_data / "hpo/steplaw/1004_fitted_lr_bs_scaling_model_parameters.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    n, d = np.log(5e8), np.log(2e10)
    rates = np.exp([row["lr_intercept"] + row["lr_coefN"] * n + row["lr_coefD"] * d for row in rows])
    interval = step_law(5e8, 2e10, level=0.9).quantities["learning_rate"].interval
    assert interval is not None
    assert np.mean((rates > interval.low) & (rates < interval.high)) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(("family", "expected"), [("llama", 2.86e-4), ("qwen", 4.73e-4)])
def test_lora_rule_reproduces_its_worked_values(family: str, expected: float) -> None:
    assert lora_learning_rate(4096, family).quantities["learning_rate"].value == pytest.approx(expected, rel=2e-3)


def test_full_fine_tuning_takes_a_tenth_of_the_lora_rate() -> None:
    lora, full = (lora_learning_rate(4096, "llama", full).quantities["learning_rate"].value for full in (False, True))
    assert lora == pytest.approx(10 * full)


def test_lora_rule_refuses_families_it_was_not_calibrated_for() -> None:
    with pytest.raises(OutOfDomain, match=r"family.*bert.*llama, qwen"):
        lora_learning_rate(768, "bert")


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_laws_refuse_sizes_that_are_not_positive_numbers(bad: float) -> None:
    for ask in (
        lambda: step_law(bad, 1e9),
        lambda: step_law(1e9, bad),
        lambda: power(bad, 8),
        lambda: critical_batch(bad),
        lambda: loss_trajectory(1e9, bad, 1e6),
    ):
        with pytest.raises(OutOfDomain, match="positive"):
            ask()


def test_power_law_is_capped_then_falls_with_its_exponent() -> None:
    law = PowerLaw()
    assert law.learning_rate(1, 8) == law.cap
    assert law.learning_rate(4e10, 8) / law.learning_rate(1e10, 8) == pytest.approx(4**-0.51)


def test_power_schedules_of_different_length_share_their_course_before_the_decay() -> None:
    law = PowerLaw()
    short, long = (
        [law.schedule(n, total, 64, warmup=1e6, decay=0.1 * total) for n in np.linspace(0, 8e7, 50)]
        for total in (1e8, 2e8)
    )
    assert short == long
    assert law.schedule(1e8, 1e8, 64, 1e6, 1e7) == pytest.approx(0.01 * law.learning_rate(9e7, 64))


def test_power_amplitude_is_recovered() -> None:
    truth = PowerLaw(amplitude=2.5, cap=1.0)
    law, spread = fit_amplitude([(t, b, truth.learning_rate(t, b)) for t in (1e8, 1e9, 1e10) for b in (8, 32)], cap=1.0)
    assert law.amplitude == pytest.approx(2.5)
    assert spread.low == pytest.approx(spread.high)
    assert power(1e9, 8, law).standing == "fitted"


def test_a_run_at_the_critical_batch_takes_twice_the_least_steps_and_tokens() -> None:
    critical = critical_batch(3.0).quantities["critical_batch_tokens"].value
    answer = critical_batch(3.0, steps=1000, batch_tokens=critical).quantities
    assert answer["least_steps"].value == pytest.approx(500)
    assert answer["least_tokens"].value == pytest.approx(500 * critical)


def test_step_and_token_costs_lie_on_their_hyperbola() -> None:
    answer = critical_batch(2.5, steps=4000, batch_tokens=3e5).quantities
    s, e = answer["least_steps"].value, answer["least_tokens"].value
    assert (4000 / s - 1) * (4000 * 3e5 / e - 1) == pytest.approx(1)


def test_loss_falls_with_steps_towards_the_floor() -> None:
    losses = [loss_trajectory(1e8, steps, 5e5).quantities["loss"].value for steps in (1e3, 1e4, 1e5, 1e7)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(LossSurface().floor(1e8), rel=0.01)


def _step_law_cells(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Best final loss over learning rates of each (N, D, batch) of the public grid: `[cells]` N, steps, batch, loss."""
    best: dict[tuple[float, float, float], float] = {}
    with (folder / "hpo/steplaw/dense_lr_bs_loss.csv").open() as file:
        for row in csv.DictReader(file):
            batch = float(row["bs"]) * 2048
            key = (float(row["N"]), float(row["D"]) / batch, batch)
            best[key] = min(best.get(key, np.inf), float(row["smooth loss"]))
    n, s, b = np.array(list(best)).T
    return n, s, b, np.array(list(best.values()))


def test_loss_surface_fitted_below_a_billion_predicts_a_billion(shared_data: Path) -> None:
    n, s, b, loss = _step_law_cells(shared_data)
    small = n < 1e9
    law = fit_loss_surface(n[small], s[small], b[small], loss[small])
    predicted = law.loss(n[~small], s[~small], b[~small])
    assert np.mean(np.abs(predicted / loss[~small] - 1)) < 0.012


def test_fitting_refuses_what_determines_no_law() -> None:
    ones = np.ones(10)
    with pytest.raises(OutOfDomain, match="at least 8"):
        fit_loss_surface(ones[:2], ones[:2], ones[:2], ones[:2])
    with pytest.raises(OutOfDomain, match="equal"):
        fit_loss_surface(ones, ones, ones, ones)
    with pytest.raises(OutOfDomain, match="positive"):
        fit_loss_surface(-ones, ones, ones, ones)
