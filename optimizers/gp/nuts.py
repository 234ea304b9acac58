"""The No-U-Turn Sampler (Hoffman & Gelman 2014, algorithm 6), in numpy: draws from a density by its gradient.

A trajectory is doubled forwards or backwards until it turns back on itself; the next draw is one of its points. The
step size is adapted by dual averaging during the warm-up. No mass matrix: what is sampled here is on one scale already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# Position [p] → potential energy (negative log density) and its gradient [p].
Potential = Callable[[FloatArray], tuple[float, FloatArray]]

# Energy error at which a trajectory counts as divergent, and the wished-for share of accepted steps (same paper).
_DIVERGED, _ACCEPTED = 1000.0, 0.8
_GAMMA, _DELAY, _KAPPA = 0.05, 10.0, 0.75
_DEEPEST = 5  # at most 2^5 - 1 steps for one draw: a suggestion must not wait longer


@dataclass(frozen=True)
class _Point:
    position: FloatArray
    momentum: FloatArray
    energy: float  # potential
    slope: FloatArray

    @property
    def log_joint(self) -> float:
        return -self.energy - 0.5 * float(self.momentum @ self.momentum)


@dataclass(frozen=True)
class _Tree:
    """A piece of trajectory: its ends, one of its points drawn evenly, and what the step size learns from."""

    left: _Point
    right: _Point
    drawn: _Point
    valid: int  # points within the slice
    goes_on: bool
    acceptance: float
    steps: int


def nuts(
    potential: Potential, start: FloatArray, warmup: int, draws: int, thinning: int, rng: np.random.Generator
) -> FloatArray:
    """`draws // thinning` positions `[s, p]`, after `warmup` draws that are thrown away, from `start [p]`."""
    energy, slope = potential(start)
    here = _Point(start, np.zeros_like(start), energy, slope)
    step = _first_step(potential, here, rng)
    centre, error, averaged, kept = np.log(10.0 * step), 0.0, 0.0, []
    for number in range(1, warmup + draws + 1):
        here, acceptance = _draw(potential, here, step, rng)
        if number <= warmup:
            error += (_ACCEPTED - acceptance - error) / (number + _DELAY)
            log_step = centre - np.sqrt(number) / _GAMMA * error
            averaged += number**-_KAPPA * (log_step - averaged)
            step = float(np.exp(averaged if number == warmup else log_step))
        elif (number - warmup) % thinning == 0:
            kept.append(here.position)
    return np.array(kept).reshape(len(kept), len(start))


def _draw(potential: Potential, here: _Point, step: float, rng: np.random.Generator) -> tuple[_Point, float]:
    """The next point, and the mean acceptance of the steps that led to it."""
    begin = _Point(here.position, rng.standard_normal(len(here.position)), here.energy, here.slope)
    level = begin.log_joint + np.log(rng.random())
    left = right = drawn = begin
    valid, acceptance, steps = 1, 0.0, 0
    for depth in range(_DEEPEST):
        forwards = rng.random() < 0.5
        end = right if forwards else left
        tree = _grow(potential, end, level, step if forwards else -step, depth, begin.log_joint, rng)
        left, right = (left, tree.right) if forwards else (tree.left, right)
        acceptance, steps = acceptance + tree.acceptance, steps + tree.steps
        if not tree.goes_on:
            break
        if rng.random() < tree.valid / valid:
            drawn = tree.drawn
        valid += tree.valid
        if _turns(left, right):
            break
    return drawn, acceptance / max(steps, 1)


def _grow(
    potential: Potential, end: _Point, level: float, step: float, depth: int, origin: float, rng: np.random.Generator
) -> _Tree:
    """A tree of `2^depth` steps from the `end` of a trajectory."""
    if depth == 0:
        point = _leap(potential, end, step)
        joint = point.log_joint
        return _Tree(
            left=point,
            right=point,
            drawn=point,
            valid=int(level <= joint),
            goes_on=bool(level < joint + _DIVERGED),
            acceptance=float(np.exp(min(0.0, joint - origin))),
            steps=1,
        )
    first = _grow(potential, end, level, step, depth - 1, origin, rng)
    if not first.goes_on:
        return first
    second = _grow(potential, first.right if step > 0 else first.left, level, step, depth - 1, origin, rng)
    left, right = (first.left, second.right) if step > 0 else (second.left, first.right)
    valid = first.valid + second.valid
    return _Tree(
        left=left,
        right=right,
        drawn=second.drawn if rng.random() < second.valid / max(valid, 1) else first.drawn,
        valid=valid,
        goes_on=second.goes_on and not _turns(left, right),
        acceptance=first.acceptance + second.acceptance,
        steps=first.steps + second.steps,
    )


def _leap(potential: Potential, point: _Point, step: float) -> _Point:
    """One leapfrog step. Where the potential is not finite the point has no chance of being drawn."""
    half = point.momentum - 0.5 * step * point.slope
    position = point.position + step * half
    energy, slope = potential(position)
    if not (np.isfinite(energy) and np.isfinite(slope).all()):
        return _Point(position, half, np.inf, np.zeros_like(slope))
    return _Point(position, half - 0.5 * step * slope, energy, slope)


def _turns(left: _Point, right: _Point) -> bool:
    across = right.position - left.position
    return bool(across @ left.momentum < 0 or across @ right.momentum < 0)


def _first_step(potential: Potential, here: _Point, rng: np.random.Generator) -> float:
    """A step whose acceptance is near a half (heuristic of the paper), between 1e-4 and 1."""
    begin = _Point(here.position, rng.standard_normal(len(here.position)), here.energy, here.slope)
    step = 0.1
    grows = _leap(potential, begin, step).log_joint - begin.log_joint > np.log(0.5)
    factor = 2.0 if grows else 0.5
    while 1e-4 < step < 1.0:
        step *= factor
        if (_leap(potential, begin, step).log_joint - begin.log_joint > np.log(0.5)) != grows:
            break
    return float(step)
