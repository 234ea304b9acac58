"""The network reads past jobs and this job's trials, and gives way to `gp` and `transfer` where they know more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import spearmanr

from optimizers.errors import BadOption, MissingExtra
from optimizers.evidence import read
from optimizers.gp.regression import GaussianProcess
from optimizers.gp.surrogate import learn
from optimizers.in_context import optimizer as in_context
from optimizers.in_context.lessons import tokens
from optimizers.in_context.model import InContextModel
from optimizers.in_context.network import held_out_errors
from optimizers.in_context.optimizer import taught
from optimizers.in_context.past import FEWEST, past_of
from optimizers.problem import (
    CompletedTrial,
    Config,
    FailedTrial,
    History,
    Objective,
    PastJob,
    PendingTrial,
    Problem,
    StoppedTrial,
)
from optimizers.registry import optimizer
from search_spaces.parameters import Categorical, Float
from search_spaces.space import Space, config_hash
from tests.optimizers.computed_problems import ACCURACY, MIXED, PROBLEMS, completed

DRAWN = MIXED.sample(30, np.random.default_rng(5))
PLANTED = Problem(
    Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0), Categorical("kind", ("a", "b", "c")))),
    (Objective("loss", "minimize"),),
)


def planted(config: Config, at: float) -> float:
    """Least at x = `at`, y = 0.7 and kind b."""
    away = (config["x"] - at) ** 2 + 0.5 * (config["y"] - 0.7) ** 2
    return float(away + {"a": 0.1, "b": 0.0, "c": 0.3}[config["kind"]])


def past_of_planted(at: float, count: int = 3) -> tuple[PastJob, ...]:
    """Jobs that differ in the unit of their losses, and whose trials keep away from the best."""
    jobs = []
    for number in range(count):
        rng = np.random.default_rng(number)
        drawn = PLANTED.space.sample(60, rng)
        kept = [config for config in drawn if planted(config, at) > 0.06]
        trials = (
            CompletedTrial(f"p{number}-{i}", config, {"loss": (number + 1) * planted(config, at) + number})
            for i, config in enumerate(kept)
        )
        jobs.append(PastJob(f"job-{number}", 0.9, tuple(trials)))
    return tuple(jobs)


def measured(at: float, count: int = 4) -> tuple[CompletedTrial, ...]:
    configs = PLANTED.space.sample(count, np.random.default_rng(77))
    return tuple(CompletedTrial(str(i), config, {"loss": planted(config, at)}) for i, config in enumerate(configs))


@pytest.fixture
def hardly_taught(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A few steps are enough where it does not matter what the network says."""
    monkeypatch.setattr(in_context, "STEPS", 5)
    monkeypatch.setattr(in_context, "POOL", 40)
    taught.cache_clear()
    yield
    taught.cache_clear()


def rank(at: float, told_by: float) -> list[float]:
    """Rank correlation with the truth at `at` of what the network, taught by jobs whose best is at `told_by`, and the
    process say after four trials of this job."""
    past, evidence = past_of(PLANTED, past_of_planted(told_by)), read(PLANTED, History(measured(at)))
    own = learn(PLANTED, evidence, 60, 60)
    features, values = own.features(evidence.configs), own.scaled(evidence.objectives)[:, 0]
    process = own.models[0]
    assert isinstance(process, GaussianProcess)
    network = InContextModel(taught(past), process, 0, 1, features, values)
    asked = PLANTED.space.sample(200, np.random.default_rng(3))
    truth = [planted(config, at) for config in asked]
    return [spearmanr(one.predict(own.features(asked))[0], truth).statistic for one in (network, process)]


@pytest.mark.slow
@pytest.mark.parametrize("at", [0.2, 0.8])
def test_it_foretells_from_four_trials_what_only_past_jobs_tell(at: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_context, "POOL", 60)
    network, process = rank(at, told_by=at)
    misled, _ = rank(at, told_by=1.0 - at)
    assert network > 0.9
    assert network > process + 0.1
    assert network > misled + 0.1
    own = learn(PLANTED, (evidence := read(PLANTED, History(measured(at)))), 60, 60)
    told = in_context._told(own, evidence, past_of(PLANTED, past_of_planted(at)))
    assert isinstance(told.models[0], InContextModel), "it has its say, since it foretells the four better"


@pytest.mark.usefixtures("hardly_taught")
def test_a_restart_teaches_the_same_network() -> None:
    history = History(measured(0.2), past=past_of_planted(0.2))
    network = taught(past_of(PLANTED, history.past))
    assert network is taught(past_of(PLANTED, history.past)), "kept while the process lives"
    taught.cache_clear()
    again = taught(past_of(PLANTED, history.past))
    assert all((one == other).all() for one, other in zip(network.parameters(), again.parameters(), strict=True))
    other = taught(past_of(PLANTED, past_of_planted(0.8)))
    assert any((one != two).any() for one, two in zip(network.parameters(), other.parameters(), strict=True))


@pytest.mark.usefixtures("hardly_taught")
def test_a_network_that_foretells_worse_than_the_process_has_no_say() -> None:
    past = past_of(PLANTED, past_of_planted(0.2))
    evidence = read(PLANTED, History(measured(0.2, 40)))
    own = learn(PLANTED, evidence, 60, 60)
    assert in_context._told(own, evidence, past) is own
    won = [CompletedTrial(f"w{i}", dict(c), {"loss": planted(c, 0.2)}) for i, c in enumerate(_winners(0.2))]
    history = History((*measured(0.2, 40), *won), past=past_of_planted(0.2))
    mine, gps = (
        optimizer(name).propose(PLANTED, history, 2, np.random.default_rng(0)) for name in ("in_context", "gp")
    )
    assert mine == gps


def _winners(at: float) -> list[Config]:
    history = History(past=past_of_planted(at))
    return list(optimizer("in_context").propose(PLANTED, history, 3, np.random.default_rng(0)).configs)


@pytest.mark.usefixtures("hardly_taught")
@pytest.mark.parametrize("kind", [kind for kind, problem in PROBLEMS.items() if problem.space is MIXED])
def test_with_a_past_it_proposes_for_every_kind_of_problem(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network has its say, be it ahead or not: what it says must be of use to the acquisition."""
    monkeypatch.setattr(InContextModel, "ahead", True)
    past = (PastJob("a", 0.9, tuple(completed(i, config) for i, config in enumerate(DRAWN[:16]))),)
    history = History(
        completed=tuple(completed(i, config) for i, config in enumerate(DRAWN[16:22])),
        stopped=(StoppedTrial("s", DRAWN[22], {"accuracy": 0.5, "trainable_params": 9.0, "latency_ms": 7.0}, 0.5),),
        failed=(FailedTrial("f", DRAWN[23], "nan_loss: x"),),
        pending=(PendingTrial("p", DRAWN[24]),),
        past=past,
    )
    configs = optimizer("in_context").propose(PROBLEMS[kind], history, 5, np.random.default_rng(0)).configs
    asked = {config_hash(config) for config in DRAWN[16:25]}
    assert len({config_hash(config) for config in configs} - asked) == 5
    for config in configs:
        MIXED.validate(config)


@pytest.mark.usefixtures("hardly_taught")
def test_its_covariances_are_those_of_a_distribution_with_its_variances() -> None:
    evidence = read(PLANTED, History(measured(0.2, 12)))
    own = learn(PLANTED, evidence, 60, 60)
    network = taught(past_of(PLANTED, past_of_planted(0.2)))
    features = own.features(evidence.configs)
    model = InContextModel(network, own.models[0], 0, 1, features, own.scaled(evidence.objectives)[:, 0])  # type: ignore[arg-type]
    points = own.features(PLANTED.space.sample(30, np.random.default_rng(1)))
    mean, covariance = model.joint(points)
    assert np.allclose(np.diag(covariance), model.predict(points)[1])
    assert np.allclose(mean, model.predict(points)[0])
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    errors = held_out_errors(network, tokens(features, 0, 1), model.values)
    for row in range(12):
        others = np.arange(12) != row
        one = InContextModel(network, model.process, 0, 1, features[others], model.values[others])
        assert errors[row] == pytest.approx(model.values[row] - one.predict(features[row : row + 1])[0][0], abs=1e-4)


@pytest.mark.parametrize("trials", [0, FEWEST - 1])
def test_where_past_jobs_tell_too_little_it_says_so_and_behaves_as_transfer(trials: int) -> None:
    past = (PastJob("a", 0.9, tuple(completed(i, config) for i, config in enumerate(DRAWN[:trials]))),)
    history, problem = History(past=past), PROBLEMS["one objective"]
    mine = optimizer("in_context", starts=5).propose(problem, history, 3, np.random.default_rng(0))
    theirs = optimizer("transfer").propose(problem, history, 3, np.random.default_rng(0))
    assert mine.configs == theirs.configs
    assert "no past job on an alike task has measured accuracy 10 times in this space" in mine.notes[0]


def test_several_objectives_are_told_apart() -> None:
    rows = tokens(np.zeros((2, 3)), 1, 2)
    assert rows.tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 1]]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_context, "find_spec", lambda _: None)
    past = (PastJob("a", 0.9, tuple(completed(i, config) for i, config in enumerate(DRAWN))),)
    with pytest.raises(MissingExtra, match=r"needs torch; .* pip install 'peftsearch\[workers\]'"):
        optimizer("in_context").propose(Problem(MIXED, (ACCURACY,)), History(past=past), 1, np.random.default_rng(0))


def test_refuses_to_begin_with_nothing() -> None:
    with pytest.raises(BadOption, match="starts"):
        optimizer("in_context", starts=0)
