"""What every scheduler must do, and what halving and the median rule do besides."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizers.errors import BadOption, UnknownName, UnsupportedProblem
from optimizers.pareto import hypervolume
from optimizers.problem import Objective, Problem
from optimizers.schedulers.contract import (
    Budget,
    Curve,
    Decision,
    Moves,
    PausingScheduler,
    Point,
    Standing,
    StoppingScheduler,
)
from optimizers.schedulers.halving import rungs
from optimizers.schedulers.ranking import comparable
from optimizers.schedulers.registry import check, names, scheduler
from search_spaces.parameters import Float
from search_spaces.space import Space

SPACE = Space((Float("learning_rate", 0.1, 10.0, "log"), Float("width", 1.0, 100.0, "log")))
ONE = Problem(SPACE, (Objective("accuracy", "maximize"),))
TWO = Problem(
    SPACE,
    (Objective("accuracy", "maximize"), Objective("size", "minimize")),
    known={"size": lambda config: float(config["width"])},
)
BUDGET = 9.0


PAUSING = tuple(name for name in names() if isinstance(scheduler(name), PausingScheduler))
STOPPING = tuple(name for name in names() if name not in ("none", *PAUSING))
GOES_ON: tuple[Decision, ...] = ("continue", "pause")


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def curve(*accuracies: float, width: float = 10.0) -> Curve:
    """One report per epoch."""
    points = tuple(Point(epoch + 1.0, {"accuracy": value}) for epoch, value in enumerate(accuracies))
    return Curve(points, {"learning_rate": 1.0, "width": width})


def peers(count: int, epochs: int = 9) -> dict[str, Curve]:
    """Trials that reach 0.60, 0.61, … at their first epoch and gain 0.01 with each."""
    return {f"j-{i}": curve(*(0.6 + 0.01 * (i + e) for e in range(epochs))) for i in range(count)}


def test_goes_on_without_anything_to_compare(name: str) -> None:
    made = scheduler(name)
    assert made.decide("j-0", {}, ONE, BUDGET) == "continue"
    assert made.decide("j-0", {"j-0": Curve(())}, ONE, BUDGET) == "continue"
    assert made.decide("j-0", {"j-0": curve(0.1)}, ONE, BUDGET) in GOES_ON
    loss_only = Curve((Point(1.0, {"train_loss": 2.0}),))
    assert made.decide("a", {"a": loss_only, **peers(8)}, ONE, BUDGET) in GOES_ON


@pytest.mark.parametrize("problem", [ONE, TWO], ids=["one", "two"])
def test_the_best_and_equals_go_on_at_every_epoch(name: str, problem: Problem) -> None:
    made = scheduler(name)
    for epochs in range(1, 10):
        assert made.decide("best", {"best": curve(*[0.9] * epochs), **peers(20)}, problem, BUDGET) in GOES_ON
        equals = {f"j-{i}": curve(*[0.5] * epochs) for i in range(20)}
        assert {made.decide(trial, equals, problem, BUDGET) for trial in equals} <= set(GOES_ON)


@pytest.mark.parametrize("budget", [0.5, 1.0, 2.0, 9.0])
@pytest.mark.parametrize("kind", STOPPING)
def test_what_may_stop_trials_looks_before_their_end_and_stops_at_a_look(kind: str, budget: float) -> None:
    made = scheduler(kind)
    assert isinstance(made, StoppingScheduler)
    looks = made.looks(budget)
    assert looks
    assert all(0 < look < budget for look in looks)

    def reached(value: float) -> Curve:
        return Curve((Point(looks[0], {"accuracy": value}),), {"learning_rate": 1.0, "width": 10.0})

    stopped = 0
    for number in range(40):  # hyperband spares the trials of its late brackets at its first rung
        curves = {f"{number}-bad": reached(0.1)} | {f"{number}-{peer}": reached(0.5 + peer / 100) for peer in range(60)}
        stopped += made.decide(f"{number}-bad", curves, ONE, budget) == "stop"
    assert stopped > (15 if kind == "hyperband" else 39)


def test_a_trial_at_its_full_budget_is_not_stopped(name: str) -> None:
    curves = {"late": Curve((Point(BUDGET, {"accuracy": 0.0}),)), **peers(20)}
    assert scheduler(name).decide("late", curves, ONE, BUDGET) == "continue"


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("problem", [ONE, TWO], ids=["one", "two"])
def test_odd_numbers_decide_nothing_for_the_good(name: str, odd: float, problem: Problem) -> None:
    curves = {"good": curve(0.9, 0.9, 0.9), "odd": curve(0.6, odd, odd), **peers(8)}
    made = scheduler(name)
    for epochs in (1, 2, 3):
        now = curves | {"good": curve(*[0.9] * epochs)}
        if odd != math.inf:
            assert made.decide("good", now, problem, BUDGET) in GOES_ON
        assert made.decide("odd", now, problem, BUDGET) in ("continue", "pause", "stop")


def test_same_curves_same_decision(name: str) -> None:
    curves = peers(20, epochs=3)
    first = [scheduler(name).decide(trial, curves, TWO, BUDGET) for trial in curves]
    assert first == [scheduler(name).decide(trial, curves, TWO, BUDGET) for trial in curves]


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_the_worst_is_stopped_by_running_and_finished_peers_alike(kind: str) -> None:
    made = scheduler(kind, grace=3.0)
    for epochs in (3, 9):
        curves = {"worst": curve(0.1, 0.1, 0.1), **peers(8, epochs)}
        assert made.decide("worst", curves, ONE, BUDGET) == "stop"
    before = {"worst": curve(0.1, 0.1), **peers(8)}
    assert made.decide("worst", before, ONE, BUDGET) == "continue"


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_with_several_objectives_a_small_trial_may_be_weak(kind: str) -> None:
    made = scheduler(kind, grace=3.0)
    curves = {"small": curve(0.5, 0.5, 0.5, width=1.0), "large": curve(0.5, 0.5, 0.5, width=99.0), **peers(9)}
    assert made.decide("small", curves, ONE, BUDGET) == "stop"
    assert made.decide("small", curves, TWO, BUDGET) == "continue"
    assert made.decide("large", curves, TWO, BUDGET) == "stop"


def test_asha_lets_one_in_eta_pass() -> None:
    made, passed = scheduler("asha", grace=1.0), 0
    seen: dict[str, Curve] = {}
    for i, value in enumerate(np.random.default_rng(0).permutation(90) / 100):
        seen[f"j-{i}"] = curve(float(value))
        passed += made.decide(f"j-{i}", seen, ONE, BUDGET) == "continue"
    assert 30 <= passed <= 45  # a third, and some that came while few had been seen


def test_rungs_grow_by_eta_below_the_budget() -> None:
    assert rungs(1.0, 3.0, 9.0) == (1.0, 3.0)
    assert rungs(1.0, 3.0, 10.0) == (1.0, 3.0, 9.0)
    assert rungs(9.0, 3.0, 9.0) == ()


def test_hyperband_spreads_trials_over_brackets_the_same_in_every_process() -> None:
    trials = [f"j-{i}" for i in range(300)]
    code = (
        "from optimizers.schedulers.registry import scheduler; s = scheduler('hyperband');"
        "print([s._bracket(f'j-{i}', 2) for i in range(300)])"
    )
    made = scheduler("hyperband")
    brackets = [made._bracket(trial, 2) for trial in trials]  # type: ignore[attr-defined]
    assert set(brackets) == {0, 1, 2}
    assert brackets.count(0) > brackets.count(1) > brackets.count(2) > 20
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(brackets)


def _simulated(kind: str, problem: Problem, seed: int) -> tuple[float, set[int], list[list[float]]]:
    """40 trials, 4 at a time, with computed curves: share of the budget spent, who finished, final values of all."""
    rng, made = np.random.default_rng(seed), scheduler(kind)
    configs = SPACE.sample(40, rng)
    tops = [
        0.9 - 0.3 * math.exp(-config["width"] / 20) - 0.05 * abs(math.log10(config["learning_rate"]))
        for config in configs
    ]
    waiting, running, spent = list(range(40)), [], 0
    points: dict[int, list[Point]] = {i: [] for i in waiting}
    finished: set[int] = set()
    while waiting or running:
        while waiting and len(running) < 4:
            running.append(waiting.pop(0))
        for i in list(running):
            epoch = len(points[i]) + 1.0
            value = tops[i] * (1 - 0.5 * math.exp(-epoch / 2)) + 0.003 * rng.standard_normal()
            points[i].append(Point(epoch, {"accuracy": value}))
            spent += 1
            curves = {f"j-{k}": Curve(tuple(shown), configs[k]) for k, shown in points.items() if shown}
            if made.decide(f"j-{i}", curves, problem, BUDGET) == "stop":
                running.remove(i)
            elif epoch == BUDGET:
                running.remove(i)
                finished.add(i)
    finals = [[-tops[i], configs[i]["width"]] for i in range(40)]
    return spent / (40 * BUDGET), finished, finals


@pytest.mark.parametrize(("kind", "most"), [("asha", 0.45), ("hyperband", 0.75), ("median", 0.92)])
def test_saves_budget_and_keeps_the_best(kind: str, most: float) -> None:
    for seed in range(4):
        spent, finished, finals = _simulated(kind, ONE, seed)
        assert spent < most
        order = sorted(range(40), key=lambda i: finals[i][0])
        assert finished & set(order[:3])


def test_asha_saves_budget_and_keeps_most_of_the_front() -> None:
    spents, kept = [], []
    for seed in range(6):
        spent, finished, finals = _simulated("asha", TWO, seed)
        values, reference = np.array(finals), np.array([-0.4, 100.0])
        spents.append(spent)
        kept.append(hypervolume(values[sorted(finished)], reference) / hypervolume(values, reference))
    assert np.mean(spents) < 0.45
    assert np.mean(kept) > 0.9


def test_registry_names_what_it_does_not_know_or_cannot_do() -> None:
    with pytest.raises(UnknownName, match=r"scheduler: found 'sha', allowed: asha, "):
        scheduler("sha")
    with pytest.raises(BadOption, match=r"options.reduction: found 1, allowed: a number above 1"):
        scheduler("asha", reduction=1)
    with pytest.raises(BadOption, match=r"options.rungs: found 3"):
        scheduler("none", rungs=3)
    known = Problem(SPACE, (Objective("size", "minimize"),), known=TWO.known)
    for kind in (*STOPPING, *PAUSING):
        with pytest.raises(UnsupportedProblem, match=rf"{kind}: every objective \(size\)"):
            check(kind, known, Budget(20, BUDGET))
        check(kind, TWO, Budget(20, BUDGET))
    check("none", known, Budget(1, BUDGET))


@pytest.mark.parametrize("kind", [*STOPPING, *PAUSING])
def test_what_would_never_decide_anything_is_refused_at_once(kind: str) -> None:
    option = "grace" if kind in STOPPING else "interval"
    with pytest.raises(BadOption, match=rf"options.{option}: found 9.0, allowed: epochs below the budget of 9"):
        check(kind, ONE, Budget(20, BUDGET), **{option: 9.0})
    with pytest.raises(BadOption, match=rf"options.{option}"):
        check(kind, ONE, Budget(20, BUDGET), **{option: "often"})


def standing(curves: dict[str, Curve], **changes: Any) -> Standing:
    """Everyone has paused with a checkpoint, and nobody else is to come."""
    everyone = frozenset(curves)
    fields: dict[str, Any] = {"curves": curves, "paused": everyone, "donors": everyone, "active": frozenset()}
    fields |= {"fresh": {}, "to_come": 0, "slots": 2, "budget": Budget(len(curves), BUDGET), "seed": 1}
    return Standing(**fields | changes)


@pytest.mark.parametrize("kind", PAUSING)
class TestPausing:
    """What holds for schedulers under which trials train in slices."""

    @pytest.mark.parametrize("problem", [ONE, TWO], ids=["one", "two"])
    def test_somebody_always_goes_on_until_all_are_at_their_end(self, kind: str, problem: Problem) -> None:
        made = scheduler(kind)
        assert isinstance(made, PausingScheduler)
        every, rng = made.slice(BUDGET), np.random.default_rng(0)
        curves = {f"j-{i}": Curve((), config) for i, config in enumerate(SPACE.sample(8, rng))}
        paused = set(curves)
        for _ in range(1000):
            moves = made.moves(standing(curves, paused=frozenset(paused), donors=frozenset(paused)), problem)
            assert moves == made.moves(standing(curves, paused=frozenset(paused), donors=frozenset(paused)), problem)
            assert (moves.resume.keys() | moves.stop.keys()) <= paused
            assert not moves.resume.keys() & moves.stop.keys()
            assert moves.resume or moves.stop
            paused -= moves.stop.keys()
            for trial, exploit in moves.resume.items():
                if exploit is not None:
                    SPACE.validate(exploit.config)
                    curves[trial] = replace(curves[trial], config=exploit.config)
                epoch = min(BUDGET, curves[trial].epoch + every)
                reached = Point(epoch, {"accuracy": curves[trial].config["width"] / 100 - 0.1 / (1 + epoch)})
                curves[trial] = replace(curves[trial], points=(*curves[trial].points, reached))
                expected = "pause" if epoch < BUDGET - 1e-6 else "continue"
                assert made.decide(trial, curves, problem, BUDGET) == expected
                paused -= {trial} if expected == "continue" else set()
            if not paused:
                break
        assert not paused
        assert any(curve.epoch >= BUDGET - 1e-6 for curve in curves.values())

    def test_nothing_paused_nothing_to_do(self, kind: str) -> None:
        made = scheduler(kind)
        assert isinstance(made, PausingScheduler)
        nobody = standing(peers(4, 2), paused=frozenset(), donors=frozenset())
        assert made.moves(nobody, ONE) == Moves()

    @pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
    def test_odd_numbers_and_silent_trials_do_not_stop_the_others(self, kind: str, odd: float) -> None:
        made = scheduler(kind)
        assert isinstance(made, PausingScheduler)
        curves = {"odd": curve(odd), "silent": Curve(()), "bare": Curve((Point(1.0, {"loss": 1.0}),)), **peers(6, 1)}
        moves = made.moves(standing(curves), ONE)
        assert moves.resume.keys() & peers(6).keys() or set(moves.resume) == {"silent"}


def test_the_loss_stands_for_what_is_measured_at_the_end_alone() -> None:
    """Of trials that report a loss, the worse is stopped, though the objective is written answers."""
    stand_ins = {"exact_match": Objective("loss", "minimize")}
    problem = replace(TWO, objectives=(Objective("exact_match", "maximize"), TWO.objectives[1]), stand_ins=stand_ins)
    config = {"learning_rate": 1.0, "width": 10.0}
    curves = {f"j-{i}": Curve((Point(1.0, {"loss": 1.0 + i / 10}),), config) for i in range(9)}
    assert [item.metric for item in comparable(problem, {"loss": 1.0})] == ["loss", "size"]
    assert [item.metric for item in comparable(problem, {"loss": 1.0, "exact_match": 0.5})] == ["exact_match", "size"]
    made = scheduler("asha")
    assert made.decide("j-0", curves, problem, BUDGET) == "continue"
    assert made.decide("j-8", curves, problem, BUDGET) != "continue"
