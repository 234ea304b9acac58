"""CMA-ES over history: the covariance matrix is adapted again for every proposal by replaying all generations.

Generations are the measured trials cut into pieces, oldest first. Trials that were not drawn from the distribution
(reference trials, the initial ones) enter with a bounded step, as injected solutions do (Hansen 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers import evidence as evidences
from optimizers.designs import closed
from optimizers.errors import BadOption, UnsupportedProblem
from optimizers.novelty import Novelty, decoded, draw
from optimizers.problem import History, Problem, Proposal
from optimizers.scalarization import scores
from search_spaces.parameters import Categorical

FloatArray = NDArray[np.float64]
_TRIES = 12


@dataclass(frozen=True)
class CmaEsSearch:
    """Covariance matrix adaptation (Hansen 2016) for one objective over numbers, from the middle of the space.

    Args:
        population: trials in a generation; None for 4 + 3 ln d.
        sigma: first step size, as a share of each parameter's range.
    """

    population: int | None = None
    sigma: float = 0.3
    name: ClassVar[str] = "cmaes"

    def __post_init__(self) -> None:
        if self.population is not None and self.population < 4:
            raise BadOption("population", self.population, "at least 4")
        if not 0 < self.sigma <= 1:
            raise BadOption("sigma", self.sigma, "above 0 and at most 1")

    def check(self, problem: Problem) -> None:
        """Raise `UnsupportedProblem` when the space is not one of numbers, or there are several objectives."""
        space = problem.space
        if len(problem.objectives) > 1:
            raise UnsupportedProblem(self.name, f"has one objective, found {len(problem.objectives)}; use gp or nsga2")
        choices = [item.name for item in space.parameters if isinstance(item, Categorical) and item.size > 1]
        unsuited = choices + [condition.child for condition in space.conditions]
        if unsuited:
            found = ", ".join(dict.fromkeys(unsuited))
            raise UnsupportedProblem(self.name, f"searches numbers that are always active, found {found}; use gp")
        if space.dimensions < 2:
            raise UnsupportedProblem(self.name, f"needs two free parameters, found {space.dimensions}; use gp")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        novelty, space = Novelty(history), problem.space
        evidence = evidences.read(problem, history)
        points = space.encode(evidence.configs).values
        d = space.dimensions
        size = self.population if self.population is not None else 4 + int(3 * np.log(d))
        mean, spread = replay(points, scores(evidence, rng), size, self.sigma)
        taken: list[dict[str, Any]] = []
        for _ in range(_TRIES):
            if len(taken) < n:
                drawn = mean + rng.standard_normal((n, d)) @ spread.T
                # Reflected at the walls: clipping would pile the search up on them.
                taken += novelty.take(decoded(space, 1.0 - np.abs(1.0 - np.abs(drawn) % 2.0)), n - len(taken))
        return closed(taken + draw(space, novelty, n - len(taken), rng), n)


def replay(points: FloatArray, values: FloatArray, size: int, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Mean `[d]` and step matrix `[d, d]` after all full generations of `points [n, d]` with `values [n]`.

    Constants as in Hansen (2016), "The CMA Evolution Strategy: A Tutorial", table 1.
    """
    d = points.shape[1]
    weights = np.log((size + 1) / 2) - np.log(np.arange(1, size // 2 + 1))
    weights /= weights.sum()
    mass = 1.0 / (weights**2).sum()
    c_sigma = (mass + 2) / (d + mass + 5)
    damping = 1 + 2 * max(0.0, np.sqrt((mass - 1) / (d + 1)) - 1) + c_sigma
    c_path = (4 + mass / d) / (d + 4 + 2 * mass / d)
    c_one = 2 / ((d + 1.3) ** 2 + mass)
    c_mu = min(1 - c_one, 2 * (mass - 2 + 1 / mass) / ((d + 2) ** 2 + mass))
    expected = np.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2))
    mean, covariance = np.full(d, 0.5), np.eye(d)
    path_sigma, path = np.zeros(d), np.zeros(d)
    for generation in range(len(points) // size):
        rows = slice(generation * size, (generation + 1) * size)
        best = np.argsort(values[rows], kind="stable")[: len(weights)]
        eigenvalues, axes = np.linalg.eigh(covariance)
        scales = np.sqrt(np.maximum(eigenvalues, 1e-12))
        steps = (points[rows][best] - mean) / sigma
        lengths = np.linalg.norm(steps @ axes / scales, axis=1)
        steps *= np.minimum(1.0, (np.sqrt(d) + 2 * d / (d + 2)) / np.maximum(lengths, 1e-12))[:, None]
        move = weights @ steps
        mean = np.clip(mean + sigma * move, 0.0, 1.0)
        whitened = axes @ ((axes.T @ move) / scales)
        path_sigma = (1 - c_sigma) * path_sigma + np.sqrt(c_sigma * (2 - c_sigma) * mass) * whitened
        norm = float(np.linalg.norm(path_sigma))
        steady = norm / np.sqrt(1 - (1 - c_sigma) ** (2 * (generation + 1))) < (1.4 + 2 / (d + 1)) * expected
        path = (1 - c_path) * path + steady * np.sqrt(c_path * (2 - c_path) * mass) * move
        keep = 1 - c_one - c_mu + (0.0 if steady else c_one * c_path * (2 - c_path))
        covariance = keep * covariance + c_one * np.outer(path, path) + c_mu * (steps.T * weights) @ steps
        sigma = float(np.clip(sigma * np.exp(c_sigma / damping * (norm / expected - 1)), 1e-6, 1.0))
    eigenvalues, axes = np.linalg.eigh(covariance)
    return mean, sigma * axes * np.sqrt(np.maximum(eigenvalues, 1e-12))
