"""A law fitted to runs: recovered from runs that follow one, covered by its intervals, refused where there is none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from predictors.answer import OutOfDomain
from predictors.law_answer import COLUMNS, fitted, from_json, to_json, variables_of
from predictors.law_fit import Runs, fit_law
from predictors.loss_model import Scales, fit_loss_model

TRUTH = np.array([[1.0, -0.7, 0.3], [-0.5, 0.0, 0.57]])


def _table(noise: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    """A 7 × 7 grid around the optimum of each of nine sizes."""
    rng, rows = np.random.default_rng(seed), []
    for n in (1e8, 3e8, 1e9):
        for d in (2e9, 1e10, 5e10):
            best = TRUTH @ [1, np.log(n), np.log(d)]
            for rate in np.linspace(-1.2, 1.3, 7):
                for batch in np.linspace(-1.5, 1.4, 7):
                    loss = 2.5 * np.exp(0.02 * rate**2 + 0.01 * batch**2 - 0.01 * rate * batch + rng.normal(0, noise))
                    rows.append((n, d, np.exp(best[0] + rate), np.exp(best[1] + batch), loss))
    return dict(zip(COLUMNS, np.array(rows).T, strict=True))


def test_the_law_behind_runs_is_recovered() -> None:
    law = fit_law(Runs.read(_table()))
    assert law.optimum[:, 1:] == pytest.approx(TRUTH[:, 1:], abs=0.02)
    answer = law.answer({"parameters": 3e8, "tokens": 1e10})
    assert np.log(answer.quantities["learning_rate"].value) == pytest.approx(
        TRUTH[0] @ [1, np.log(3e8), np.log(1e10)], abs=0.05
    )
    assert answer.standing == "fitted"
    assert answer.warnings == ()
    assert any("extrapolation" in warning for warning in law.answer({"parameters": 1e12, "tokens": 1e10}).warnings)


def test_intervals_cover_the_law_under_noise() -> None:
    inside = []
    for seed in range(30):
        answer = fit_law(Runs.read(_table(0.002, seed))).answer({"parameters": 3e8, "tokens": 1e10}, level=0.9)
        truth = np.exp(TRUTH @ [1, np.log(3e8), np.log(1e10)])
        for quantity, value in zip(answer.quantities.values(), truth, strict=True):
            assert quantity.interval is not None
            inside.append(quantity.interval.low <= value <= quantity.interval.high)
    assert np.mean(inside) > 0.8


def test_an_answer_for_a_size_names_one_of_the_settings_tried() -> None:
    table = _table(0.001)
    rows = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in np.array([table[n] for n in COLUMNS]).T]
    found = fitted(rows, {"parameters": 3e8, "tokens": 1e10}, 0.9)
    assert np.isclose(table["learning_rate"], found["best"]["learning_rate"]).any()
    assert 0 <= found["choice_cost"] < 0.005
    assert found["prediction"]["learning_rate"] > 0
    assert found["cells"] == 9
    assert fitted(rows, None, 0.9)["prediction"] is None


def test_tables_that_determine_no_law_are_refused() -> None:
    table = _table()
    short = {name: column[:2] for name, column in table.items()}
    cases = [
        (short, "at least 20"),
        (table | {"loss": np.ones(len(table["loss"]))}, "loss.*equal"),
        (table | {"batch": table["batch"][:-1]}, "columns of equal length"),
        (table | {"tokens": -table["tokens"]}, r"rows\.0\.tokens.*positive"),
        ({name: column[:49] for name, column in table.items()}, "at least 4 different"),
        (table | {"learning_rate": np.full(len(table["loss"]), 1e-3)}, "learning_rate.*three rates"),
        (table | {"loss": 10 - table["loss"]}, "no minimum"),
    ]
    for bad, words in cases:
        with pytest.raises(OutOfDomain, match=words):
            fit_law(Runs.read(bad))
    with pytest.raises(OutOfDomain, match="sizes that the law was fitted on"):
        fit_law(Runs.read(table)).answer({"parameters": 1e9})


def test_a_third_size_is_recovered_and_a_law_survives_its_stored_form() -> None:
    rows = []
    for rank in (2.0, 16.0):
        table = _table()
        shift = 0.2 * np.log(rank)
        rows.append(
            table | {"rank": np.full(len(table["loss"]), rank), "learning_rate": table["learning_rate"] * np.exp(shift)}
        )
    joined = {name: np.concatenate([one[name] for one in rows]) for name in rows[0]}
    law = fit_law(Runs.read(joined, ("parameters", "tokens", "rank")))
    assert law.optimum[0, 1:] == pytest.approx([-0.7, 0.3, 0.2], abs=0.02)
    again = from_json(json.loads(json.dumps(to_json(law))))
    size = {"parameters": 3e8, "tokens": 1e10, "rank": 8.0}
    assert again.answer(size) == law.answer(size)
    assert again.covers(size)
    assert not again.covers(size | {"rank": 64.0})
    assert not again.covers({"parameters": 3e8, "tokens": 1e10})


def test_without_a_best_batch_among_those_tried_the_law_tells_the_rate_at_the_edge() -> None:
    """Short fine-tunings: halving the batch always lowers the loss, the best rate grows with the root of the batch."""
    rng, rows = np.random.default_rng(0), []
    for n in (2e4, 1.5e5):
        for d in (2e4, 8e4):
            for batch in (8, 16, 32):
                best = 3e-3 * (d / 2e4) ** -0.4 * (batch / 8) ** 0.5
                for rate in (3e-4, 1e-3, 3e-3, 1e-2, 3e-2):
                    excess = 0.02 * np.log(rate / best) ** 2 + 0.1 * np.log2(batch / 8)
                    rows.append((n, d, rate, batch, np.exp(excess + rng.normal(0, 0.003))))
    law = fit_law(Runs.read(dict(zip(COLUMNS, np.array(rows).T, strict=True))))
    assert law.batch_edge == "smallest"
    answer = law.answer({"parameters": 2e4, "tokens": 2e4})
    assert answer.quantities["learning_rate"].value == pytest.approx(3e-3, rel=0.3)
    assert law.optimum[0, 1:] == pytest.approx([0.0, -0.4], abs=0.15)
    assert answer.quantities["batch"].value == 8
    assert answer.quantities["batch"].interval is None
    assert any("batch = 8 is the smallest tried" in warning for warning in answer.warnings)
    assert from_json(json.loads(json.dumps(to_json(law)))).answer({"parameters": 2e4, "tokens": 2e4}) == answer


def test_a_law_kept_before_the_settings_tried_were_kept_still_answers() -> None:
    law = fit_law(Runs.read(_table()))
    kept = {name: part for name, part in to_json(law).items() if name not in ("tried", "batch_edge")}
    size = {"parameters": 3e8, "tokens": 1e10}
    assert from_json(json.loads(json.dumps(kept))).answer(size) == law.answer(size)


def test_a_rate_that_nobody_tried_comes_with_a_warning() -> None:
    table = _table()
    low = table["learning_rate"] < np.quantile(table["learning_rate"], 0.5)
    law = fit_law(Runs.read({name: column[low] for name, column in table.items()}))
    told = law.answer({"parameters": 1e8, "tokens": 5e10})
    assert told.quantities["learning_rate"].value > law.tried[0].high
    assert any("learning_rate" in warning for warning in told.warnings)


@pytest.mark.filterwarnings("error")
def test_no_runs_vary_in_nothing() -> None:
    assert variables_of([]) == ()


@pytest.mark.parametrize("cell", [2, 11])
def test_choosing_in_a_held_out_size_costs_little(shared_data: Path, cell: int) -> None:
    with (shared_data / "hpo/steplaw/dense_lr_bs_loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ("N", "D", "lr", "bs", "smooth loss")
    runs = Runs.read(
        {to: np.array([float(row[name]) for row in rows]) for to, name in zip(COLUMNS, names, strict=True)}
    )
    held = runs.cell == cell
    model = fit_loss_model(runs.keep(~held), (Scales(2.0, 3.0, 2e-3, 0.003),))
    chosen = np.argmin(model.score(runs.sizes()[held], runs.settings()[held]))
    assert np.expm1(runs.excess()[held][chosen]) < 0.003
