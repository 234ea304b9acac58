"""The `botorch` optimizer, and what needs its extra. Importing this imports neither torch nor BoTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from optimizers.errors import BadOption, MissingExtra
from optimizers.evidence import Evidence
from optimizers.model_based import SobolStart
from optimizers.novelty import Novelty
from optimizers.problem import History, Problem, Proposal

EXTRA = "botorch"


@dataclass(frozen=True)
class BotorchSearch:
    """BoTorch's own recipe: a `SingleTaskGP` per outcome, and qLogNEHVI, or qLogNEI with one objective.

    Args:
        initial: trials that follow a Sobol sequence first; None as for `gp`.
        limit: trials that enter a model; of a longer history the better half by front, and the rest evenly over time.
        seed: of the Sobol sequence.
    """

    initial: int | None = None
    limit: int = 200
    seed: int = 0
    name: ClassVar[str] = "botorch"

    def __post_init__(self) -> None:
        for option, least in (("initial", 0), ("limit", 10)):
            value = getattr(self, option)
            if value is not None and value < least:
                raise BadOption(option, value, f"at least {least}")
        require(None, "botorch")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        choose = partial(self._chosen, problem, n, rng)
        return SobolStart(self.name, self.initial, self.seed).then(problem, history, n, rng, choose)

    def _chosen(
        self, problem: Problem, n: int, rng: np.random.Generator, evidence: Evidence, novelty: Novelty
    ) -> list[dict[str, Any]]:
        with alone(rng):
            from optimizers.botorch.acquisition import choose
            from optimizers.botorch.models import fit_usual, learn

            return choose(learn(problem, evidence, self.limit, fit_usual), evidence, novelty, n, rng)


def require(option: str | None, *modules: str) -> None:
    """Raise `MissingExtra` when one of `modules` is not installed; `option` is what asked for it, None the name."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtra(option, missing, EXTRA)


@contextmanager
def alone(rng: np.random.Generator) -> Iterator[None]:
    """Run BoTorch on one thread, on a random stream that `rng` begins, without its warnings, and leave torch as it was.

    What goes wrong inside torch and its linear algebra comes out as ValueError.
    """
    import warnings

    import torch
    from botorch.exceptions.errors import BotorchError
    from botorch.utils.sampling import manual_seed
    from linear_operator.utils.errors import NanError, NotPSDError

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the trials' workers need the other cores
    try:
        with warnings.catch_warnings(), manual_seed(int(rng.integers(2**31))):
            warnings.simplefilter("ignore")
            yield
    except (BotorchError, NanError, NotPSDError, RuntimeError) as error:
        raise ValueError(f"BoTorch: {error}") from error
    finally:
        torch.set_num_threads(threads)
