"""What the parts of a search cost beside the trainings: `python -m benchmarks.search.parts`.

One JSON line for each: a space's sampling and encoding, fronts and layers of many points, and what one suggestion of
every optimizer takes after ten thousand trials. CPU seconds of this process, torch and BLAS with one thread.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # read when numpy is loaded, hence before the other imports

import numpy as np  # noqa: E402

from benchmarks.search.computed import autopeft  # noqa: E402
from optimizers.errors import UnsupportedProblem  # noqa: E402
from optimizers.pareto import non_dominated, non_domination_ranks  # noqa: E402
from optimizers.problem import CompletedTrial, History  # noqa: E402
from optimizers.registry import check, names, optimizer  # noqa: E402

MANY = 10_000
Part = tuple[str, int, Callable[[], object]]


def cpu_seconds(part: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    part()
    return time.process_time() - start


def parts(count: int = MANY) -> Iterator[Part]:
    """(what, how many of it, the call), for `count` configurations or trials and twice as many points."""
    given, rng = autopeft(), np.random.default_rng(0)
    space = given.problem.space
    configs = space.sample(count, rng)
    yield "sample configurations", count, lambda: space.sample(count, np.random.default_rng(0))
    yield "encode configurations", count, lambda: space.encode(configs)
    for objectives in (2, 3):
        points = rng.random((2 * count, objectives))
        yield f"front of {objectives} objectives", len(points), lambda points=points: non_dominated(points)  # type: ignore[misc]
    chain = np.repeat(np.arange(2.0 * count)[:, None], 2, axis=1)
    yield "layers of a chain", len(chain), lambda: non_domination_ranks(chain)
    trials = (CompletedTrial(str(i), config, given.measure(config, rng)) for i, config in enumerate(configs))
    history = History(tuple(trials))
    for name in names():
        try:
            check(name, given.problem)
        except UnsupportedProblem:
            continue
        ask = optimizer(name)
        yield (
            f"suggestion of {name}",
            count,
            lambda ask=ask: ask.propose(given.problem, history, 1, np.random.default_rng(0)),  # type: ignore[misc]
        )


def main() -> None:
    """Print one JSON line for each part."""
    for what, count, part in parts():
        print(json.dumps({"what": what, "of": count, "cpu_seconds": round(cpu_seconds(part), 4)}), flush=True)


if __name__ == "__main__":
    main()
