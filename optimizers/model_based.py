"""What optimizers with a surrogate share: a Sobol sequence first, then the surrogate; what happens when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizers import evidence as evidences
from optimizers.designs import SobolSearch, closed
from optimizers.evidence import Evidence
from optimizers.novelty import Novelty, draw
from optimizers.problem import History, Problem, Proposal

# A surrogate of fewer measured trials knows nothing.
_FEWEST = 3

# What is known and what has been asked for → up to n new configurations, best first. Raises
# `numpy.linalg.LinAlgError`, ValueError or FloatingPointError where the surrogate cannot be used.
Choose = Callable[[Evidence, Novelty], list[dict[str, Any]]]


@dataclass(frozen=True)
class SobolStart:
    """How a model-based optimizer begins: `initial` trials of a Sobol sequence scrambled by `seed`; None means two for
    each parameter, at least 4 and at most 10. `name` is the optimizer's, for its notes."""

    name: str
    initial: int | None
    seed: int

    def then(self, problem: Problem, history: History, n: int, rng: np.random.Generator, choose: Choose) -> Proposal:
        """`n` configurations: the next of the sequence while that lasts, then those that `choose` gives. Where it
        cannot, the sequence goes on and a note says why."""
        novelty = Novelty(history)
        sequence = SobolSearch(self.seed)
        if evidences.asked_count(history) < self.length(problem) or not problem.space.dimensions:
            return closed(sequence.continued(problem, history, novelty, n, rng), n)
        evidence = evidences.read(problem, history)
        if len(evidence.configs) < _FEWEST:
            found = f"{len(evidence.configs)} measured and {len(evidence.failed)} failed trials"
            reason = f"a surrogate needs {_FEWEST} measured trials, found {found}"
        else:
            try:
                configs = choose(evidence, novelty)
                return closed(configs + draw(problem.space, novelty, n - len(configs), rng), n)
            except (np.linalg.LinAlgError, ValueError, FloatingPointError) as error:
                reason = f"the surrogate could not be used ({error})"
        instead = closed(sequence.continued(problem, history, novelty, n, rng), n)
        return Proposal(instead.configs, (f"{self.name}: {reason}; continued the Sobol sequence", *instead.notes))

    def length(self, problem: Problem) -> int:
        """Trials of the sequence."""
        free = len({column.parameter for column in problem.space.columns})
        return int(np.clip(2 * free, 4, 10)) if self.initial is None else self.initial
