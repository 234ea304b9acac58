"""LLAMBO (Liu et al. 2024): a language model proposes configurations and predicts how good they are.

The endpoint is the operator's, not the job's (a job must not make the service call addresses of its choice): any
OpenAI-compatible server, named by `PEFTSEARCH_LLM_URL` (up to `/v1`), `PEFTSEARCH_LLM_MODEL` and, if it wants one,
`PEFTSEARCH_LLM_TOKEN`. Whatever it answers is checked like any other input, and it has bounded time to answer in: what
it does not deliver comes from `gp`, with a note.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from optimizers import evidence as evidences
from optimizers.errors import BadOption, UnsupportedProblem
from optimizers.evidence import Evidence
from optimizers.gp.optimizer import GaussianProcessSearch
from optimizers.novelty import Novelty
from optimizers.problem import Config, History, PendingTrial, Problem, Proposal
from optimizers.scalarization import scores
from search_spaces.space import Space

_LARGEST_ANSWER = 1_000_000  # bytes
# How the model's guess of a score is believed when it gives no interval: as good as this, on the scale of [0, 1].
_DOUBT = 0.1


@dataclass(frozen=True)
class LlamboSearch:
    """Candidates and predictions by a language model, chosen by expected improvement.

    Args:
        candidates: configurations asked for at a time.
        shown: trials shown to the model: the better half by front, and the rest evenly over time.
        ambition: the score that candidates should reach lies this share of the observed range below the best; the
            paper's −α, for which it recommends 0.2.
        seconds: longest time for one proposal, both questions together.
        seed: of the initial design and of `gp`, which stands in.
    """

    candidates: int = 10
    shown: int = 30
    ambition: float = 0.2
    seconds: float = 30.0
    seed: int = 0
    name: ClassVar[str] = "llambo"

    def __post_init__(self) -> None:
        for option in ("candidates", "shown", "seconds"):
            if not getattr(self, option) > 0:
                raise BadOption(option, getattr(self, option), "above 0")

    def check(self, problem: Problem) -> None:  # noqa: ARG002
        """Raise `UnsupportedProblem` when the operator has named no endpoint."""
        missing = [name for name in ("PEFTSEARCH_LLM_URL", "PEFTSEARCH_LLM_MODEL") if not os.environ.get(name)]
        if missing:
            raise UnsupportedProblem(self.name, f"the service has no language model; its operator sets {missing}")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        stand_in = GaussianProcessSearch(seed=self.seed)
        evidence = evidences.read(problem, history)
        if n == 0 or not evidence.configs:
            return stand_in.propose(problem, history, n, rng)
        deadline = time.monotonic() + self.seconds
        novelty = Novelty(history)
        found, notes = self._asked(problem.space, evidence, novelty, n, deadline, rng)
        if len(found) == n:
            return Proposal(tuple(found), notes)
        pending = tuple(PendingTrial(f"proposed-{index}", config) for index, config in enumerate(found))
        extended = History(history.completed, history.stopped, history.failed, (*history.pending, *pending))
        rest = stand_in.propose(problem, extended, n - len(found), rng)
        notes = (*notes, f"{self.name}: {len(rest.configs)} of {n} configurations come from gp")
        return Proposal((*found, *rest.configs), (*notes, *rest.notes))

    def _asked(
        self,
        space: Space,
        evidence: Evidence,
        novelty: Novelty,
        n: int,
        deadline: float,
        rng: np.random.Generator,
    ) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """Up to `n` new configurations of the model's, best first, and what went wrong."""
        observed = scores(evidence, rng)
        chosen = evidences.informative(evidence, self.shown)
        story = _story(space, [evidence.configs[index] for index in chosen], observed[chosen])
        target = float(observed.min() - self.ambition * np.ptp(observed))
        try:
            answer = _ask(f"{story}\n\n{_wanted(max(self.candidates, n), target)}", deadline)
            configs, rejected = _valid(space, answer)
        except (OSError, ValueError, TimeoutError) as error:
            return [], (f"{self.name}: the language model gave no candidates ({error})",)
        fresh = novelty.take(configs)
        notes = [f"{self.name}: rejected {rejected} malformed or invalid answers"] if rejected else []
        if len(configs) > len(fresh):
            notes.append(f"{self.name}: rejected {len(configs) - len(fresh)} repeated answers")
        if len(fresh) > n:
            try:
                guessed = _numbers(_ask(f"{story}\n\n{_judged(fresh)}", deadline), len(fresh))
                improvement = _expected_improvement(guessed, float(observed.min()))
                fresh = [fresh[index] for index in np.argsort(-improvement, kind="stable")]
            except (OSError, ValueError, TimeoutError) as error:
                notes.append(f"{self.name}: the language model predicted nothing ({error})")
        return fresh[:n], tuple(notes)


def _story(space: Space, configs: Sequence[Config], observed: np.ndarray) -> str:
    """The space and the trials in words; the best trial comes last, where models look most."""
    lines = []
    for name in space.order:
        condition = space.condition_of.get(name)
        only = "" if condition is None else f", only when {condition.parent} is one of {list(condition.values)}"
        lines.append(f"- {name}: {space.by_name[name].allowed}{only}")
    rules = "".join(f"- rule: {constraint.message}\n" for constraint in space.constraints)
    order = np.argsort(-observed, kind="stable")
    trials = "\n".join(f"{json.dumps(dict(configs[index]))} -> score {observed[index]:.4f}" for index in order)
    return (
        "We tune hyperparameters of parameter-efficient fine-tuning. A score of 0 is the best measured so far, "
        "lower is better.\nParameters:\n" + "\n".join(lines) + f"\n{rules}\nTrials:\n{trials}"
    )


def _wanted(count: int, target: float) -> str:
    return (
        f"Propose {count} new, different configurations that should score {target:.4f} or lower. "
        'Answer with JSON only: {"configurations": [{...}, ...]}.'
    )


def _judged(configs: Sequence[Config]) -> str:
    listed = "\n".join(json.dumps(dict(config)) for config in configs)
    return (
        f"Predict the score of each of these {len(configs)} configurations, in order:\n{listed}\n"
        'Answer with JSON only: {"scores": [number, ...]}.'
    )


def _ask(prompt: str, deadline: float) -> dict[str, Any]:
    """The JSON object in the model's answer. Raises OSError, ValueError or TimeoutError, and never after `deadline`.

    A thread of its own, because neither name resolution nor a server that sends a byte now and then respects the
    timeouts of a socket.
    """
    answers: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
    threading.Thread(target=_converse, args=(prompt, deadline, answers), daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.01, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError("no answer in time") from None
    if isinstance(answer, Exception):
        raise OSError(f"{type(answer).__name__}: {answer}")
    try:
        text = str(json.loads(answer)["choices"][0]["message"]["content"])
    except (LookupError, TypeError) as error:
        raise ValueError(f"not a chat completion: {type(error).__name__} {error}") from None
    found = json.loads(text[text.find("{") : text.rfind("}") + 1])
    if not isinstance(found, dict):
        raise ValueError("the answer holds no JSON object")
    return found


def _converse(prompt: str, deadline: float, answers: queue.SimpleQueue[str | Exception]) -> None:
    import httpx

    token = os.environ.get("PEFTSEARCH_LLM_TOKEN")
    body = {"model": os.environ["PEFTSEARCH_LLM_MODEL"], "messages": [{"role": "user", "content": prompt}]}
    try:
        received = b""
        with httpx.stream(
            "POST",
            os.environ["PEFTSEARCH_LLM_URL"].rstrip("/") + "/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=max(0.1, deadline - time.monotonic()),
        ) as response:
            response.raise_for_status()
            for piece in response.iter_bytes():
                received += piece
                if len(received) > _LARGEST_ANSWER or time.monotonic() > deadline:
                    raise ValueError("the answer is too long")
        answers.put(received.decode())
    except Exception as error:  # whatever a server or the network can do must not end the job
        answers.put(error)


def _valid(space: Space, answer: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The valid configurations in `answer`, completed in the order of the space, and how many others it held."""
    listed = answer.get("configurations")
    if not isinstance(listed, list):
        raise ValueError('the answer has no list "configurations"')
    valid = [space.arrange(entry) for entry in listed if isinstance(entry, dict) and space.contains(entry)]
    return valid, len(listed) - len(valid)


def _numbers(answer: dict[str, Any], count: int) -> np.ndarray:
    listed = answer.get("scores")
    if not isinstance(listed, list) or len(listed) != count:
        raise ValueError(f"expected {count} scores")
    numbers = np.array([float(entry) for entry in listed if isinstance(entry, int | float)])
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"expected {count} finite scores")
    return numbers


def _expected_improvement(predicted: np.ndarray, best: float) -> np.ndarray:
    """Expected improvement below `best` of normal scores around `predicted [k]`."""
    z = (best - predicted) / _DOUBT
    return np.asarray(_DOUBT * (z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)))
