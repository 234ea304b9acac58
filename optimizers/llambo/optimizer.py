"""The `llambo` optimizer: zero-shot start, candidates conditioned on a target, and a surrogate of several generations.

Whatever the model answers is checked like any other input, and it has bounded time to answer in: what it does not
deliver comes from `gp`, with a note.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from optimizers import evidence as evidences
from optimizers.errors import BadOption, UnsupportedProblem
from optimizers.evidence import Evidence
from optimizers.gp.optimizer import GaussianProcessSearch
from optimizers.llambo import endpoint, prompts
from optimizers.novelty import Novelty
from optimizers.problem import History, PendingTrial, Problem, Proposal
from optimizers.scalarization import scores

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LlamboSearch:
    """Candidates and predictions by a language model, chosen by expected improvement.

    Args:
        warm_start: trials that the model recommends before anything is measured.
        candidates: configurations asked for at a time.
        generations: how often the model predicts the candidates' scores, each time from the trials in another order.
            Mean and standard deviation of these predictions are what it believes.
        shown: trials shown to the model: the better half by front, and the rest evenly over time.
        ambition: the score that candidates should reach lies this share of the observed range below the best; the
            paper's −α, for which it recommends 0.2.
        seconds: longest time for one proposal, all questions together.
        seed: of `gp`, which stands in.
    """

    warm_start: int = 5
    candidates: int = 10
    generations: int = 5
    shown: int = 30
    ambition: float = 0.2
    seconds: float = 30.0
    seed: int = 0
    name: ClassVar[str] = "llambo"

    def __post_init__(self) -> None:
        for option, least in (("warm_start", 0), ("candidates", 1), ("generations", 2), ("shown", 1)):
            if not getattr(self, option) >= least:
                raise BadOption(option, getattr(self, option), f"at least {least}")
        if not self.seconds > 0:
            raise BadOption("seconds", self.seconds, "above 0")

    def check(self, problem: Problem) -> None:  # noqa: ARG002
        """Raise `UnsupportedProblem` when the operator has named no endpoint."""
        if missing := endpoint.missing():
            raise UnsupportedProblem(self.name, f"the service has no language model; its operator sets {missing}")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        evidence, novelty = evidences.read(problem, history), Novelty(history)
        deadline = time.monotonic() + self.seconds
        chosen: list[dict[str, Any]] = []
        notes: tuple[str, ...] = ()
        if n > 0 and evidences.asked_count(history) < self.warm_start:
            chosen, notes = self._recommended(problem, evidence, novelty, n, deadline)
        elif n > 0 and evidence.configs:
            chosen, notes = self._improving(problem, evidence, novelty, n, deadline, rng)
        if len(chosen) == n:
            return Proposal(tuple(chosen), notes)
        pending = tuple(PendingTrial(f"proposed-{index}", config) for index, config in enumerate(chosen))
        extended = History(history.completed, history.stopped, history.failed, (*history.pending, *pending))
        rest = GaussianProcessSearch(seed=self.seed).propose(problem, extended, n - len(chosen), rng)
        if notes or chosen:
            notes = (*notes, f"{self.name}: {len(rest.configs)} of {n} configurations come from gp")
        return Proposal((*chosen, *rest.configs), (*notes, *rest.notes))

    def _recommended(
        self, problem: Problem, evidence: Evidence, novelty: Novelty, n: int, deadline: float
    ) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """Up to `n` configurations that the model recommends without results, and what went wrong."""
        tried = [*evidence.configs, *evidence.failed, *evidence.pending]
        fresh, notes = self._new(problem, prompts.beginning(problem, tried, max(n, self.warm_start)), novelty, deadline)
        return fresh[:n], tuple(notes)

    def _improving(
        self,
        problem: Problem,
        evidence: Evidence,
        novelty: Novelty,
        n: int,
        deadline: float,
        rng: np.random.Generator,
    ) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """Up to `n` new configurations, those first that should improve most, and what went wrong."""
        everything = scores(evidence, rng)
        shown = evidences.informative(evidence, self.shown)
        # The best trial comes last, where models look most.
        shown = shown[np.argsort(-everything[shown], kind="stable")]
        trials, observed = [evidence.configs[index] for index in shown], everything[shown]
        best = float(everything.min())
        target = best - self.ambition * float(np.ptp(everything))
        prompt = prompts.candidates(problem.space, trials, observed, max(self.candidates, n), target)
        fresh, notes = self._new(problem, prompt, novelty, deadline)
        if len(fresh) > 1:
            orders = [rng.permutation(len(trials)) for _ in range(self.generations)]
            asked = [
                prompts.prediction(problem.space, [trials[index] for index in order], observed[order], fresh)
                for order in orders
            ]
            predicted, complaints = _predicted(endpoint.ask(asked, deadline), len(fresh))
            notes += [f"{self.name}: {complaint}" for complaint in complaints]
            if len(predicted) > 1:
                worth = expected_improvement(predicted, best)
                # Where nothing promises to improve, the better prediction goes first.
                order = np.lexsort((predicted.mean(axis=0), -worth))
                fresh = [fresh[index] for index in order]
        return fresh[:n], tuple(notes)

    def _new(
        self, problem: Problem, prompt: str, novelty: Novelty, deadline: float
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The valid new configurations in the model's answer to `prompt`, and what it answered besides."""
        (answer,) = endpoint.ask([prompt], deadline)
        try:
            if isinstance(answer, Exception):
                raise answer
            configs, rejected = prompts.read_configs(problem.space, answer)
        except (OSError, ValueError, TimeoutError) as error:
            return [], [f"{self.name}: the language model gave no candidates ({error})"]
        fresh = novelty.take(configs)
        notes = [f"{self.name}: rejected {rejected} malformed or invalid answers"] if rejected else []
        if len(configs) > len(fresh):
            notes.append(f"{self.name}: rejected {len(configs) - len(fresh)} repeated answers")
        return fresh, notes


def expected_improvement(predicted: FloatArray, best: float) -> FloatArray:
    """Expected improvement `[k]` below `best` of normal scores with the mean and the standard deviation over the
    generations `predicted [g, k]`, g ≥ 2. Where all agree, there is no doubt: what their word is below `best`."""
    mean, deviation = predicted.mean(axis=0), predicted.std(axis=0, ddof=1)
    certain = np.maximum(best - mean, 0.0)
    doubtful = deviation > 1e-12
    spread = np.where(doubtful, deviation, 1.0)
    z = (best - mean) / spread
    worth = spread * (z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))
    result: FloatArray = np.where(doubtful, worth, certain)
    return result


def _predicted(answers: Sequence[dict[str, Any] | Exception], count: int) -> tuple[FloatArray, list[str]]:
    """The usable predictions `[g, count]`, and what is to be said of the others."""
    usable: list[FloatArray] = []
    wrong = ""
    for answer in answers:
        try:
            if isinstance(answer, Exception):
                raise answer
            usable.append(prompts.read_scores(answer, count))
        except (OSError, ValueError, TimeoutError) as error:
            wrong = wrong or str(error)
    predicted = np.array(usable).reshape(len(usable), count)
    if not wrong:
        return predicted, []
    if len(usable) < 2:
        return predicted, [f"the language model predicted too little to choose by ({wrong}); its own order stands"]
    return predicted, [f"{len(answers) - len(usable)} of {len(answers)} generations were unusable ({wrong})"]
