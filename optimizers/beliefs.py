"""What priors are worth where an objective follows from the configuration.

A prior says where quality is best. Where the amount that a parameter decides is an objective as well, as the number
of trained parameters may be, a front has every amount, and a prior on the rank would keep the search at one end of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from optimizers.novelty import sampled
from optimizers.problem import Config, Problem
from search_spaces.space import Space

Formula = Callable[[Config], float]

# Configurations drawn, so that each parameter is active in some, and changes tried of each: one may make no difference.
_DRAWN, _TRIED = 256, 4


def over_all_amounts(problem: Problem) -> tuple[Problem, tuple[str, ...]]:
    """The problem without the priors of parameters that a known objective follows from, where it is one of several
    objectives, and the names of these parameters (measured in `docs/decisions/known-objectives.md`)."""
    formulas = tuple(problem.known[one.metric] for one in problem.objectives if one.metric in problem.known)
    if not formulas or len(problem.objectives) < 2:
        return problem, ()
    space, deciding = _without_beliefs(problem.space, formulas)
    return (replace(problem, space=space), deciding) if deciding else (problem, ())


@lru_cache(maxsize=8)
def _without_beliefs(space: Space, formulas: tuple[Formula, ...]) -> tuple[Space, tuple[str, ...]]:
    """The space without those priors, and whose they were. Kept, as every suggestion of a job asks for the same."""
    deciding = tuple(sorted(_deciding(space, formulas)))
    for name in deciding:
        space = space.narrow(name, prior=None)
    return space, deciding


def _deciding(space: Space, formulas: tuple[Formula, ...]) -> set[str]:
    """Parameters with a prior that change what one of the `formulas` gives when they alone change."""
    rng, found = np.random.default_rng(0), set[str]()
    left = {one.name: _TRIED for one in space.parameters if getattr(one, "prior", None) is not None}
    for config in sampled(space, _DRAWN if left else 0, rng):
        open_here = [name for name in config if left.get(name, 0) > 0]
        here = [formula(config) for formula in formulas] if open_here else []
        for name in open_here:
            other = {**config, name: space.by_name[name].draw(rng.random((1, 1)))[0]}
            if other[name] != config[name] and space.contains(other):
                left[name] -= 1
                if [formula(other) for formula in formulas] != here:
                    found.add(name)
                    left[name] = 0
    return found
