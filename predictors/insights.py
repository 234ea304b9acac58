"""What a job's finished trials say of configurations that were never run: expected value, importance, sensitivity.

One Gaussian process for each metric over the encoded space. Every answer is an interval: of the process itself where
functions are compared, widened by leave-one-out errors where a new measurement is predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.answer import OutOfDomain
from predictors.gaussian_process import GaussianProcess, fit_large_gaussian_process
from search_spaces.errors import InvalidConfig
from search_spaces.parameters import Parameter
from search_spaces.space import Space

Floats = NDArray[np.float64]
Config = Mapping[str, Any]
LEAST_TRIALS, MOST_TRIALS = 8, 400
DECADES = 20.0  # a positive metric that spans more than this factor is modelled by its logarithm
BASES, FUNCTIONS = 32, 200
SLICE = 33  # values of a parameter at which it is sliced
POINTS = 192  # at which functions are drawn together, beside the bases
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Estimate:
    """A value and the interval it lies in with probability `level`."""

    value: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Change:
    """What happens to a metric when one parameter is set to another value, all else kept."""

    parameter: str
    value: Any
    change: Estimate


@dataclass(frozen=True)
class Contour:
    """A metric over two parameters: `cells` row by row, `rows` values of the second one by `columns` of the first; None
    where the space does not allow both."""

    columns: tuple[Any, ...]
    rows: tuple[Any, ...]
    cells: tuple[Estimate | None, ...]


@dataclass(frozen=True)
class MetricModel:
    """A process for one metric over the encoded space."""

    space: Space
    metric: str
    configs: tuple[Config, ...]  # of the trials that were fitted
    process: GaussianProcess
    logarithmic: bool
    widening: float
    level: float

    @property
    def trials(self) -> int:
        """Trials that were fitted."""
        return len(self.configs)

    def expect(self, config: Config) -> Estimate:
        """What a measurement of `config` would give. Raises OutOfDomain when it is not in the space."""
        check(self.space, config)
        mean, spread = self.process.predict(self.space.encode([config]).values)
        half = self.widening * spread[0]
        return self._estimate(mean[0], mean[0] - half, mean[0] + half)

    def expect_again(self, config: Config) -> Estimate:
        """What measuring `config` again would give, where it was picked because its measurement was good.

        Halfway between the forecasts with and without its own measurement, which tells of it but flatters it, and as
        unsure as without. The same as `expect` for a configuration that was not measured.
        """
        if config not in self.configs:
            return self.expect(config)
        row = self.configs.index(config)
        others, spreads = self.process.leave_one_out()
        own, _ = self.process.predict(self.space.encode([config]).values)
        middle, half = (own[0] + others[row]) / 2, self.widening * spreads[row]
        return self._estimate(middle, middle - half, middle + half)

    def slice(self, config: Config, name: str) -> tuple[tuple[Any, Estimate], ...]:
        """What a measurement would give for each value of parameter `name`, all else as in `config`; of a continuous
        one for `SLICE` evenly spaced values of its scale. Values that the space does not allow there are left out.

        Raises OutOfDomain when `config` is not in the space or has no such parameter.
        """
        others = [{**config, name: value} for value in self._varied(config, name)]
        return tuple(
            (other[name], estimate)
            for other, estimate in zip(others, self._expected(others), strict=True)
            if estimate is not None
        )

    def contour(self, config: Config, across: str, up: str) -> Contour:
        """What a measurement would give for each pair of values of two parameters, all else as in `config`; of a
        continuous one for values as in `slice`.

        Raises OutOfDomain when `config` is not in the space, has no such parameter, or both are one.
        """
        if across == up:
            raise OutOfDomain("up", up, f"a parameter other than {across}")
        columns, rows = self._varied(config, across), self._varied(config, up)
        cells = [{**config, across: column, up: row} for row in rows for column in columns]
        return Contour(tuple(columns), tuple(rows), tuple(self._expected(cells)))

    def _varied(self, config: Config, name: str) -> list[Any]:
        check(self.space, config)
        if name not in config or name not in self.space.by_name:
            raise OutOfDomain("parameter", name, f"a parameter of the configuration: {', '.join(sorted(config))}")
        return _values(self.space.by_name[name])

    def _expected(self, configs: Sequence[Config]) -> list[Estimate | None]:
        """What measurements would give, in the order of `configs`; None where the space does not allow one."""
        inside = [number for number, config in enumerate(configs) if self.space.contains(config)]
        found: list[Estimate | None] = [None] * len(configs)
        if inside:
            mean, spread = self.process.predict(self.space.encode([configs[number] for number in inside]).values)
            half = self.widening * spread
            for row, number in enumerate(inside):
                found[number] = self._estimate(mean[row], mean[row] - half[row], mean[row] + half[row])
        return found

    def sensitivity(self, config: Config) -> tuple[Change, ...]:
        """The expected change for each neighbouring value of each parameter; numbers are doubled and halved."""
        check(self.space, config)
        others = [(name, other) for name, other in _variations(self.space, config) if self.space.contains(other)]
        if not others:
            return ()
        mean, covariance = self.process.joint(self.space.encode([config, *(other for _, other in others)]).values)
        spread = np.sqrt(np.maximum(np.diag(covariance) + covariance[0, 0] - 2 * covariance[0], 0))
        found = []
        for row, (name, other) in enumerate(others, start=1):
            half = NormalDist().inv_cdf(0.5 + self.level / 2) * spread[row]
            difference = mean[row] - mean[0]
            change, low, high = (
                self._difference(mean[0], value) for value in (difference, difference - half, difference + half)
            )
            found.append(Change(name, other[name], Estimate(change, low, high, self.level)))
        return tuple(found)

    def importance(self, rng: np.random.Generator, progress: Progress = lambda _: None) -> dict[str, Estimate]:
        """Share of the metric's variation over the space that is lost when a parameter is known (total Sobol index),
        by parameter, most important first; the interval is over functions that agree with the trials.

        Jansen's estimator (Computer Physics Communications 117, 1999), its variance over where a parameter leads from
        and where it leads to. A share is at most 1: what a few bases give beyond that is the noise of the draw.

        `progress` is told which share of the work is done.
        """
        bases = self.space.encode(self.space.sample(BASES, rng)).values
        others = self.space.encode(self.space.sample(BASES, rng)).values
        moves = _moves(self.space, bases, others)
        found, done = dict.fromkeys(moves, Estimate(0.0, 0.0, 0.0, self.level)), 0
        for batch in _batches(moves):
            found |= self._shares(bases, batch, rng)
            done += len(batch)
            progress(done / len(moves))
        return dict(sorted(found.items(), key=lambda one: -one[1].value))

    def _shares(self, bases: Floats, moves: Mapping[str, _Move], rng: np.random.Generator) -> dict[str, Estimate]:
        """Estimates for some parameters, from functions drawn at the bases and where these parameters move them."""
        points = np.vstack([bases, *(move.points for move in moves.values())])
        functions = _draws(*self.process.joint(points), rng)
        origin, start, found = functions[:, : len(bases)], len(bases), {}
        for name, move in moves.items():
            reached = origin.copy()
            reached[:, move.rows] = functions[:, start : start + len(move.rows)]
            start += len(move.rows)
            variance = np.maximum(np.hstack([origin, reached]).var(axis=1), 1e-12)
            shares = np.minimum(0.5 * ((reached - origin) ** 2).mean(axis=1) / variance, 1.0)
            low, middle, high = np.quantile(shares, [0.5 - self.level / 2, 0.5, 0.5 + self.level / 2])
            found[name] = Estimate(float(middle), float(low), float(high), self.level)
        return found

    def _estimate(self, *values: float) -> Estimate:
        middle, low, high = (float(np.exp(value) if self.logarithmic else value) for value in values)
        return Estimate(middle, low, high, self.level)

    def _difference(self, origin: float, difference: float) -> float:
        return float(np.exp(origin + difference) - np.exp(origin) if self.logarithmic else difference)


def fit_metric(space: Space, trials: Sequence[tuple[Config, float]], metric: str, level: float = 0.9) -> MetricModel:
    """Fit to (configuration, measured value) pairs; those outside the space are left out.

    Raises:
        OutOfDomain: fewer than eight trials in the space, or values that are all equal.
    """
    inside = [(config, value) for config, value in trials if np.isfinite(value) and space.contains(config)]
    inside = inside[-MOST_TRIALS:]
    if len(inside) < LEAST_TRIALS:
        raise OutOfDomain("trials", len(inside), f"at least {LEAST_TRIALS} completed trials that measured {metric}")
    values = np.array([value for _, value in inside], dtype=np.float64)
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        raise OutOfDomain("trials", f"{metric} = {values[0]:g} in all", "trials that differ in the metric")
    logarithmic = bool(values.min() > 0 and values.max() > DECADES * values.min())
    wanted = np.log(values) if logarithmic else values
    process = fit_large_gaussian_process(space.encode([config for config, _ in inside]).values, wanted)
    mean, spread = process.leave_one_out()
    errors = np.sort(np.abs(wanted - mean) / spread)
    rank = min(len(errors), int(np.ceil(level * (len(errors) + 1)))) - 1
    configs = tuple(config for config, _ in inside)
    return MetricModel(space, metric, configs, process, logarithmic, float(errors[rank]), level)


def _values(parameter: Parameter) -> list[Any]:
    """All values, of a parameter with many some that are evenly spaced on its scale."""
    if len(parameter.columns) != 1 or (parameter.size is not None and parameter.size <= SLICE):
        return list(parameter.grid(SLICE if parameter.size is None else None))
    found = parameter.decode(np.linspace(0, 1, SLICE)[:, None])
    return list(dict.fromkeys(found))


def check(space: Space, config: Config) -> None:
    """Raise OutOfDomain naming the parameter when `config` is not in `space`."""
    try:
        space.validate(config)
    except InvalidConfig as error:
        raise OutOfDomain(f"config.{error.parameter}", error.value, error.allowed) from error


@dataclass(frozen=True)
class _Move:
    """Where a parameter moves the bases: `points [k, d]`, of the bases numbered `rows [k]`; the others stay."""

    rows: NDArray[np.int64]
    points: Floats


def _moves(space: Space, bases: Floats, others: Floats) -> dict[str, _Move]:
    """For each parameter the bases with its value taken from the others. In a space with many conditions most
    parameters are not active in most configurations, and move few of them."""
    owners = np.array([column.parameter for column in space.columns])
    names = [parameter.name for parameter in space.parameters if parameter.columns]
    rows = {name: np.flatnonzero((bases != others)[:, owners == name].any(axis=1)) for name in names}
    mixed = [np.where(owners == name, others[rows[name]], bases[rows[name]]) for name in names]
    reached = (
        space.encode(space.decode(np.vstack(mixed))).values if sum(map(len, mixed)) else np.empty((0, bases.shape[1]))
    )
    moves, start = {}, 0
    for name in names:
        points = reached[start : start + len(rows[name])]
        start += len(rows[name])
        moved = (points != bases[rows[name]]).any(axis=1)
        moves[name] = _Move(rows[name][moved], points[moved])
    return moves


def _batches(moves: Mapping[str, _Move]) -> Iterator[dict[str, _Move]]:
    """Parameters that move anything, a few at a time: drawing functions costs the cube of the points."""
    batch: dict[str, _Move] = {}
    for name, move in moves.items():
        if len(move.rows):
            batch[name] = move
        if sum(len(one.rows) for one in batch.values()) >= POINTS:
            yield batch
            batch = {}
    if batch:
        yield batch


def _draws(mean: Floats, covariance: Floats, rng: np.random.Generator) -> Floats:
    """Functions `[FUNCTIONS, m]` that agree with the trials."""
    values, vectors = np.linalg.eigh(covariance)
    noise = rng.standard_normal((FUNCTIONS, len(mean)))
    return np.asarray(mean + (noise * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _variations(space: Space, config: Config) -> list[tuple[str, dict[str, Any]]]:
    """(parameter, configuration) with one number doubled or halved, or one choice changed."""
    found = []
    for name, value in config.items():
        if isinstance(value, float | int) and not isinstance(value, bool) and value > 0:
            for other in (value * 2, value / 2):
                kept = int(other) if isinstance(value, int) and float(other).is_integer() else other
                found.append((name, {**config, name: kept}))
    changed = {name for name, other in found if space.contains(other)}
    for neighbour in space.neighbours(config):
        differing = [name for name in neighbour if neighbour[name] != config.get(name)]
        if len(differing) == 1 and differing[0] not in changed and len(neighbour) == len(config):
            found.append((differing[0], neighbour))
    return found
