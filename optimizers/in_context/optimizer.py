"""The `in_context` optimizer. Importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from optimizers.designs import SobolSearch, closed
from optimizers.errors import BadOption, MissingExtra
from optimizers.evidence import Evidence, asked_count, informative
from optimizers.gp.optimizer import GaussianProcessSearch, promising
from optimizers.gp.regression import GaussianProcess
from optimizers.gp.surrogate import Surrogate, learn
from optimizers.in_context.past import Past, past_of
from optimizers.model_based import SobolStart
from optimizers.novelty import Novelty
from optimizers.problem import History, PendingTrial, Problem, Proposal
from optimizers.transfer import TransferSearch, winners

if TYPE_CHECKING:
    from optimizers.in_context.network import Network

STEPS = 200  # of the meta-training: more foretell no better (docs/decisions/in-context.md)
POOL = 256  # random configurations, beside those of past jobs, that tasks are made of
LEAST_TRIALS, MOST_TRIALS = 3, 60  # that the network reads: in its training it has seen neither fewer nor more
_SEED = 0  # of the meta-training: the same past jobs give the same network, also after a restart


@dataclass(frozen=True)
class InContextSearch(GaussianProcessSearch):
    """A network, taught by past jobs on alike tasks how configurations compare, reads this job's trials and foretells
    others (GPICL, PFN); as `gp` where that foretells better, as `transfer` where past jobs tell too little. Options of
    `gp`, and:

    Args:
        starts: winners of past jobs that are tried before anything else.
    """

    starts: int = 3
    name: ClassVar[str] = "in_context"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.starts < 1:
            raise BadOption("starts", self.starts, "at least 1")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`. Says in a note, until something is measured, what it learns from."""
        past = past_of(problem, history.past)
        measured = len(history.completed) + len(history.stopped)
        if past.too_little is not None:
            rest = TransferSearch(self.starts, self.seed).propose(problem, history, n, rng)
            note = (f"{self.name}: {past.too_little}; behaves as transfer",) if not measured else ()
            return Proposal(rest.configs, (*note, *rest.notes))
        if find_spec("torch") is None:
            raise MissingExtra(None, ["torch"], "workers")
        won = winners(problem, history.past, self.starts)
        taken = Novelty(history).take(won, n)
        asked = [PendingTrial(f"winner-{index}", config) for index, config in enumerate(taken)]
        seen = replace(history, pending=(*history.pending, *asked))
        choose = partial(self._believed, problem, past, seen, n - len(taken), rng)
        initial = LEAST_TRIALS if measured >= LEAST_TRIALS else self.initial
        rest = SobolStart(self.name, initial, self.seed).then(problem, seen, n - len(taken), rng, choose)
        note = (
            (f"{self.name}: begins with {len(won)} winners, learns from {past.named(history.past)}",)
            if not measured
            else ()
        )
        return Proposal(closed([*taken, *rest.configs], n).configs, (*note, *rest.notes))

    def _believed(
        self,
        problem: Problem,
        past: Past,
        history: History,
        n: int,
        rng: np.random.Generator,
        evidence: Evidence,
        novelty: Novelty,
    ) -> list[dict[str, Any]]:
        """What network and process promise most of. While no network is ahead, and `gp` would not look at its process
        yet, the Sobol sequence goes on."""
        own = learn(problem, evidence, self.limit, self.fitted)
        surrogate = _told(own, evidence, past)
        if surrogate is own and asked_count(history) < SobolStart(self.name, self.initial, self.seed).length(problem):
            return SobolSearch(self.seed).continued(problem, history, novelty, n, rng)
        return promising(surrogate, n, self.prior, history.budget_left, rng, evidence, novelty)


def _told(own: Surrogate, evidence: Evidence, past: Past) -> Surrogate:
    """`own` with the network for every objective that it foretells better than the process; `own` where it is none."""
    from optimizers.in_context.model import InContextModel

    read = informative(evidence, MOST_TRIALS)
    measured = own.features([evidence.configs[index] for index in read])
    values = own.scaled(evidence.objectives[read])
    network, models, ahead = taught(past), list(own.models), False
    for place, j in enumerate(past.metrics):
        process = models[j]
        assert isinstance(process, GaussianProcess), "an objective that is not known has a process"
        told = InContextModel(network, process, place, len(past.metrics), measured, values[:, j])
        if told.ahead:
            models[j], ahead = told, True
    return replace(own, models=tuple(models)) if ahead else own


@lru_cache(maxsize=8)
def taught(past: Past) -> Network:
    """The network that has learnt from `past`; kept, since every suggestion of a job asks for the same."""
    from optimizers.in_context.network import Tasks, trained

    rng = np.random.default_rng(_SEED)
    lessons = past.lessons(POOL, rng)
    return trained(lessons.columns, lambda: Tasks(*lessons.drawn(rng)), STEPS, _SEED)
