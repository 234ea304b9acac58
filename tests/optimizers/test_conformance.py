"""What every optimizer must do, run over all of them; one that cannot work on a problem refuses it by name."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from optimizers.errors import BadOption, UnknownName, UnsupportedProblem
from optimizers.evidence import asked_configs
from optimizers.problem import (
    CompletedTrial,
    FailedTrial,
    History,
    OutcomeConstraint,
    PendingTrial,
    Problem,
    Proposal,
    StoppedTrial,
)
from optimizers.registry import check, names, optimizer
from search_spaces.constraints import SumAtMost
from search_spaces.parameters import Categorical, Float, Int
from search_spaces.space import Space, config_hash
from tests.optimizers.computed_problems import ACCURACY, MIXED, PROBLEMS, TINY, TWO, completed

NAN, INF = math.nan, math.inf
DRAWN = MIXED.sample(40, np.random.default_rng(7))


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def propose(name: str, problem: Problem, history: History, n: int = 1, seed: int = 0) -> Proposal | None:
    """A checked proposal: valid, new and distinct configurations, at most `n`. None when the optimizer refuses."""
    try:
        check(name, problem)
    except UnsupportedProblem:
        return None
    proposal = optimizer(name).propose(problem, history, n, np.random.default_rng(seed))
    for config in proposal.configs:
        problem.space.validate(config)
    hashes = [config_hash(config) for config in proposal.configs]
    assert len(set(hashes)) == len(hashes) <= n
    assert not set(hashes) & {config_hash(config) for config in asked_configs(history)}
    return proposal


def full(proposal: Proposal | None, n: int) -> bool:
    """Whether all `n` configurations came (or the optimizer had refused)."""
    return proposal is None or len(proposal.configs) == n


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("trials", [0, 1, 14])
def test_proposes_for_every_kind_of_problem(name: str, kind: str, trials: int) -> None:
    problem = PROBLEMS[kind]
    if problem.space is TINY:
        done = [completed(i, config, accuracy=0.1 * i) for i, config in enumerate(list(TINY.enumerate())[:trials])]
        assert full(propose(name, problem, History(tuple(done))), min(1, 6 - len(done)))
        return
    done = [completed(i, config) for i, config in enumerate(DRAWN[:trials])]
    assert full(propose(name, problem, History(tuple(done)), n=2), 2)


def test_all_kinds_of_trials_at_once(name: str) -> None:
    history = History(
        completed=tuple(completed(i, config) for i, config in enumerate(DRAWN[:12])),
        stopped=tuple(
            StoppedTrial(f"s{i}", config, {"accuracy": 0.5, "trainable_params": 10.0}, 0.5)
            for i, config in enumerate(DRAWN[12:16])
        ),
        failed=tuple(FailedTrial(f"f{i}", config, "out_of_memory: x") for i, config in enumerate(DRAWN[16:20])),
        pending=tuple(PendingTrial(f"p{i}", config) for i, config in enumerate(DRAWN[20:24])),
    )
    assert full(propose(name, TWO, history, n=3), 3)


@pytest.mark.parametrize("odd", [NAN, INF, -INF, 1e308, -1e308])
def test_odd_numbers_among_the_metrics(name: str, odd: float) -> None:
    problem = Problem(MIXED, TWO.objectives, (OutcomeConstraint("latency_ms", max=12.0),))
    measured = [completed(i, config) for i, config in enumerate(DRAWN[:10])]
    strange = [
        completed(10 + i, config, accuracy=odd, trainable_params=odd, latency_ms=odd)
        for i, config in enumerate(DRAWN[10:13])
    ]
    missing = [completed(20, DRAWN[13], loss=1.0)]
    assert full(propose(name, problem, History((*measured, *strange, *missing)), n=2), 2)


@pytest.mark.parametrize("kind", ["two objectives", "two unknown objectives", "constrained"])
def test_constant_objectives(name: str, kind: str) -> None:
    done = tuple(
        completed(i, config, accuracy=0.5, trainable_params=0.0, latency_ms=7.0) for i, config in enumerate(DRAWN[:12])
    )
    assert full(propose(name, PROBLEMS[kind], History(done), n=2), 2)


def test_nothing_feasible(name: str) -> None:
    problem = Problem(MIXED, (ACCURACY,), (OutcomeConstraint("latency_ms", max=0.1),))
    assert full(propose(name, problem, History(tuple(completed(i, c) for i, c in enumerate(DRAWN[:14])))), 1)


def test_all_failed(name: str) -> None:
    failed = tuple(FailedTrial(f"f{i}", config, "nan_loss: x") for i, config in enumerate(DRAWN))
    assert full(propose(name, TWO, History(failed=failed), n=2), 2)


def test_trials_from_outside_the_space(name: str) -> None:
    """Reference trials of another method, or from before the space was narrowed."""
    foreign = {"method": "head", "learning_rate": 1e-3}
    history = History(
        completed=(
            CompletedTrial("r", foreign, {"accuracy": 0.55, "trainable_params": 0.0}),
            *(completed(i, config) for i, config in enumerate(DRAWN[:12])),
        ),
        failed=(FailedTrial("f", foreign, "x"),),
        pending=(PendingTrial("p", foreign),),
    )
    assert full(propose(name, TWO, history, n=2), 2)


def test_ten_thousand_identical_trials(name: str) -> None:
    same = tuple(completed(i, DRAWN[0]) for i in range(10_000))
    assert full(propose(name, TWO, History(same)), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gp", "tpe", "nsga2", "mcts", "smbo"])
def test_ten_thousand_different_trials(name: str) -> None:
    done = tuple(completed(i, config) for i, config in enumerate(MIXED.sample(10_000, np.random.default_rng(1))))
    assert full(propose(name, TWO, History(done)), 1)


@pytest.mark.parametrize("asked", [3, 6])
def test_an_exhausted_space_gives_fewer_and_says_so(name: str, asked: int) -> None:
    configs = list(TINY.enumerate())
    done = tuple(completed(i, config, accuracy=0.1 * i) for i, config in enumerate(configs[:asked]))
    proposal = propose(name, PROBLEMS["tiny space"], History(done), n=5)
    if proposal is not None:
        assert len(proposal.configs) == 6 - asked
        assert any("exhausted" in note for note in proposal.notes)


def rare(limit: int) -> Space:
    """Four integers up to 100 with a sum of at most `limit`: of a hundred million combinations few remain, or none."""
    names = ("a", "b", "c", "d")
    return Space(tuple(Int(name, 1, 100) for name in names), constraints=(SumAtMost(names, limit),))


@pytest.mark.parametrize("limit", [3, 4])
def test_constraints_that_leave_nothing_or_too_little_end_in_a_note(name: str, limit: int) -> None:
    """Such a job is refused when it is submitted; a space that was narrowed to nothing must not end it either."""
    problem = Problem(rare(limit), (ACCURACY,))
    failed = tuple(FailedTrial(str(i), dict.fromkeys("abcd", i + 2), "x") for i in range(12))
    proposal = propose(name, problem, History(failed=failed), n=2)
    assert proposal is None or len(proposal.configs) == 2 or proposal.notes


def test_a_space_of_one_configuration(name: str) -> None:
    problem = Problem(Space((Categorical("method", ("lora",)),)), (ACCURACY,))
    assert full(propose(name, problem, History()), 1)
    assert full(propose(name, problem, History((completed(0, {"method": "lora"}, accuracy=0.5),))), 0)


def test_one_continuous_parameter(name: str) -> None:
    problem = Problem(Space((Float("x", 0.0, 1.0),)), (ACCURACY,))
    done = tuple(completed(i, {"x": (i + 0.5) / 8}, accuracy=-abs(i / 8 - 0.4)) for i in range(8))
    assert full(propose(name, problem, History(done), n=2), 2)


def test_equal_seeds_give_equal_proposals_from_fresh_objects(name: str) -> None:
    history = History(
        completed=tuple(completed(i, config) for i, config in enumerate(DRAWN[:12])),
        pending=tuple(PendingTrial(f"p{i}", config) for i, config in enumerate(DRAWN[12:14])),
    )
    assert propose(name, TWO, history, n=2, seed=3) == propose(name, TWO, history, n=2, seed=3)


def test_asked_for_nothing_gives_nothing(name: str) -> None:
    assert full(propose(name, TWO, History(), n=0), 0)


def test_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys, optimizers.registry as r; r.names(); [r.optimizer(one) for one in ('auto', 'gp', 'in_context')];"
        "print(sorted({'torch', 'botorch', 'gpytorch', 'optuna', 'ray'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_registry_names_what_it_does_not_know() -> None:
    with pytest.raises(UnknownName, match=r"found 'ga', allowed: auto, "):
        optimizer("ga")
    with pytest.raises(BadOption, match=r"options.speed: found 3, allowed: the options of gp: fitted, initial"):
        optimizer("gp", speed=3)
    with pytest.raises(BadOption, match=r"options.limit: found 0, allowed: at least 10"):
        optimizer("gp", limit=0)
    with pytest.raises(BadOption, match="initial"):
        optimizer("gp", initial="many")
