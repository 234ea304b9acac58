"""Searching a space as a tree of decisions (DeepArchitect, Negrinho & Gordon 2017): `mcts` and `smbo`.

A configuration is a path from the root: every active parameter in turn, parents first. A categorical decides among its
choices; an ordered parameter is bisected, so that what is learned about "small" helps all small values. Where nothing
is known yet, decisions follow the parameters' priors.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers import evidence as evidences
from optimizers.designs import closed
from optimizers.errors import BadOption
from optimizers.evidence import Evidence
from optimizers.gp.features import feature_map
from optimizers.novelty import Novelty, draw, repaired, sampled
from optimizers.problem import Config, History, Problem, Proposal
from optimizers.scalarization import scores
from search_spaces.parameters import Categorical, Parameter
from search_spaces.space import Space

FloatArray = NDArray[np.float64]
Path = tuple[tuple[str, int], ...]  # decisions so far: parameter (and column) with the branch taken
# Path so far, what is decided, the prior probability of each branch → the branch to take.
Choose = Callable[[Path, str, FloatArray], int]

# Bisections of a continuous parameter: sixteen intervals.
_DEPTH = 4
# Quantiles by which a prior's weight in each interval is counted, and the least weight of one: none is impossible.
_QUANTILES, _LEAST_WEIGHT = 1024, 1e-3
_TRIES = 8


@dataclass
class _Statistics:
    visits: dict[Path, int] = field(default_factory=lambda: defaultdict(int))
    rewards: dict[Path, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, steps: list[tuple[str, int]], reward: float) -> None:
        for length in range(len(steps) + 1):
            node = tuple(steps[:length])
            self.visits[node] += 1
            self.rewards[node] += reward


@dataclass(frozen=True)
class MctsSearch:
    """Monte-Carlo tree search with UCT: mean reward plus `exploration`·√(2 ln n / n_i); draws from the priors below new
    nodes.

    Rewards are the ranks of the trials' scores in [0, 1]; failed trials earn 0, and pending ones too, until they are
    measured, which spreads parallel trials over the tree.
    """

    exploration: float = 0.33
    name: ClassVar[str] = "mcts"

    def __post_init__(self) -> None:
        if not self.exploration >= 0:
            raise BadOption("exploration", self.exploration, "at least 0")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        novelty, space = Novelty(history), problem.space
        evidence = evidences.read(problem, history)
        statistics = self._statistics(space, evidence, rng)
        taken: list[dict[str, Any]] = []
        for _ in range(_TRIES * n):
            if len(taken) >= n:
                break
            for config in descend(space, partial(self._uct, statistics, rng), rng):
                statistics.add([*steps_of(space, config)], 0.0)
                taken += novelty.take([config])
        return closed(taken + draw(space, novelty, n - len(taken), rng), n)

    def _statistics(self, space: Space, evidence: Evidence, rng: np.random.Generator) -> _Statistics:
        found = scores(evidence, rng)
        rewards = 1.0 - np.searchsorted(np.sort(found), found) / max(len(found), 1)
        statistics = _Statistics()
        for config, reward in zip(evidence.configs, rewards.tolist(), strict=True):
            statistics.add([*steps_of(space, config)], reward)
        for config in (*evidence.failed, *evidence.pending):
            statistics.add([*steps_of(space, config)], 0.0)
        return statistics

    def _uct(
        self, statistics: _Statistics, rng: np.random.Generator, path: Path, decided: str, weights: FloatArray
    ) -> int:
        children = [(*path, (decided, branch)) for branch in range(len(weights))]
        visits = np.array([statistics.visits.get(child, 0) for child in children])
        if not visits.all():
            unvisited = np.where(visits == 0, weights, 0.0)
            return int(rng.choice(len(weights), p=unvisited / unvisited.sum()))
        means = np.array([statistics.rewards[child] for child in children]) / visits
        bonus = self.exploration * np.sqrt(2 * math.log(visits.sum()) / visits)
        return int(np.argmax(means + bonus))


@dataclass(frozen=True)
class SmboSearch:
    """Sequential model-based optimization with a ridge regression on the decisions of the tree and their squares.

    Args:
        initial: random trials first, and the fewest measured ones that a regression is fitted to.
        candidates: random configurations among which the regression chooses.
        exploration: share of suggestions that stay random.
    """

    initial: int = 10
    candidates: int = 512
    exploration: float = 0.1
    name: ClassVar[str] = "smbo"

    def __post_init__(self) -> None:
        for option, least in (("initial", 2), ("candidates", 1), ("exploration", 0)):
            if not getattr(self, option) >= least:
                raise BadOption(option, getattr(self, option), f"at least {least}")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        novelty, space = Novelty(history), problem.space
        evidence = evidences.read(problem, history)
        taken: list[dict[str, Any]] = []
        if len(evidence.configs) >= self.initial and n > 0:
            features = feature_map(space)
            measured = features(evidence.configs)
            for _ in range(n):
                if rng.random() >= self.exploration and (candidates := sampled(space, self.candidates, rng)):
                    predicted = _ridge(measured, scores(evidence, rng), features(candidates))
                    taken += novelty.take((candidates[index] for index in np.argsort(predicted)), 1)
        return closed(taken + draw(space, novelty, n - len(taken), rng), n)


def descend(space: Space, choose: Choose, rng: np.random.Generator) -> list[dict[str, Any]]:
    """A configuration built by asking `choose` at every decision, repaired where it violates a constraint; none where
    that cannot be done."""
    path: list[tuple[str, int]] = []
    config: dict[str, Any] = {}

    def decide(decided: str, weights: FloatArray) -> int:
        branch = choose(tuple(path), decided, weights / weights.sum()) if len(weights) > 1 else 0
        path.append((decided, branch))
        return branch

    for name in space.order:
        if not space.is_active(name, config):
            continue
        parameter = space.by_name[name]
        if isinstance(parameter, Categorical):
            config[name] = parameter.choices[decide(name, _weights(parameter)[0])]
            continue
        units = []
        for column, cells in enumerate(_weights(parameter)):
            size, low = len(cells), 0
            while size > 1:
                size //= 2
                halves = np.array([cells[low : low + size].sum(), cells[low + size : low + 2 * size].sum()])
                low += size * decide(f"{name}/{column}", halves)
            units.append((low + rng.random()) / len(cells))
        config[name] = parameter.decode(np.array([units]))[0]
    return repaired(space, config)


def steps_of(space: Space, config: Config) -> Iterator[tuple[str, int]]:
    """The decisions that lead to `config`, as `descend` numbers them."""
    for name in space.order:
        if name not in config:
            continue
        parameter = space.by_name[name]
        if isinstance(parameter, Categorical):
            yield name, _position(parameter, config[name])
            continue
        units = parameter.encode([config[name]])[0] if len(parameter.columns) else np.zeros(0)
        for column, depth in enumerate(_depths(parameter)):
            cell = min(int(units[column] * 2**depth), 2**depth - 1)
            for level in reversed(range(depth)):
                yield f"{name}/{column}", cell >> level & 1


def _depths(parameter: Parameter) -> list[int]:
    """How often each encoded column of an ordered parameter is bisected: until its values are told apart."""
    return [
        _DEPTH if column.levels is None else min(_DEPTH, math.ceil(math.log2(column.levels)))
        for column in parameter.columns
    ]


@lru_cache(maxsize=1024)
def _weights(parameter: Parameter) -> list[FloatArray]:
    """Prior probability of each choice of a categorical, or of each interval of each column of an ordered parameter."""
    if isinstance(parameter, Categorical):
        shares = [np.zeros(parameter.size)]
        for value in parameter.draw(_quantiles()):
            same = [
                other == value and isinstance(other, bool) == isinstance(value, bool) for other in parameter.choices
            ]
            shares[0][same.index(True)] += 1.0
    elif parameter.draws == 1 and len(parameter.columns) == 1:
        intervals = 2 ** _depths(parameter)[0]
        units = parameter.encode(parameter.draw(_quantiles()))[:, 0]
        places = np.minimum((units * intervals).astype(np.int64), intervals - 1)
        shares = [np.bincount(places, minlength=intervals).astype(np.float64)]
    else:
        shares = [np.ones(2**depth) for depth in _depths(parameter)]
    return [np.maximum(one / one.sum(), _LEAST_WEIGHT) for one in shares]


def _position(parameter: Categorical, value: object) -> int:
    same = [other == value and isinstance(other, bool) == isinstance(value, bool) for other in parameter.choices]
    return same.index(True)


def _quantiles() -> FloatArray:
    return ((np.arange(_QUANTILES) + 0.5) / _QUANTILES)[:, None]


def _ridge(features: FloatArray, targets: FloatArray, at: FloatArray) -> FloatArray:
    """Predictions `[k]` at `at [k, f]`; the penalty is chosen by leave-one-out error."""
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    left, right = (features - centre) / spread, (at - centre) / spread
    left, right = np.concatenate([left, left**2], axis=1), np.concatenate([right, right**2], axis=1)
    rows, values, columns = np.linalg.svd(left, full_matrices=False)
    offset = targets.mean()
    projected = rows.T @ (targets - offset)
    best, answer = np.inf, np.full(len(at), offset)
    for penalty in (0.1, 1.0, 10.0, 100.0, 1000.0):
        shrink = values**2 / (values**2 + penalty)
        leverage = ((rows**2) * shrink).sum(axis=1) + 1.0 / len(targets)
        residuals = targets - offset - rows @ (shrink * projected)
        error = float(((residuals / np.maximum(1.0 - leverage, 1e-3)) ** 2).mean())
        if error < best:
            coefficients = columns.T @ (values / (values**2 + penalty) * projected)
            best, answer = error, offset + right @ coefficients
    return answer
