"""BoTorch's models and acquisitions over our encoding, and the refusal where the extra is missing."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from optimizers import evidence as evidences
from optimizers.botorch import optimizer as optimizers_botorch
from optimizers.errors import BadOption, MissingExtra
from optimizers.problem import Config, FailedTrial, History, OutcomeConstraint, PendingTrial, Problem
from optimizers.registry import check, optimizer
from tests.optimizers.computed_problems import ACCURACY, MIXED, PROBLEMS, TWO, completed, parameters

DRAWN = MIXED.sample(40, np.random.default_rng(7))
DONE = tuple(completed(i, config) for i, config in enumerate(DRAWN[:14]))


def _values(problem: Problem, history: History, configs: list[Config], pending: tuple[Config, ...] = ()) -> np.ndarray:
    """Logarithm of the expected improvement `[k]`."""
    import torch

    from optimizers.botorch.acquisition import acquisition
    from optimizers.botorch.models import fit_usual, learn

    evidence = evidences.read(problem, history)
    models = learn(problem, evidence, 100, fit_usual)
    with torch.no_grad():
        return acquisition(models, pending, 0)(models.inputs(configs)[:, None]).numpy()


def test_a_known_objective_is_exact_and_has_no_model() -> None:
    import torch
    from botorch.models import SingleTaskGP

    from optimizers.botorch.models import fit_usual, learn

    models = learn(TWO, evidences.read(TWO, History(DONE)), 100, fit_usual)
    accuracy, cost = models.model.models
    assert isinstance(accuracy, SingleTaskGP)
    assert not isinstance(cost, SingleTaskGP)
    rows = models.inputs(DRAWN[20:30])
    expected = -models.inputs.scalings[1].uncut(np.array([parameters(config) for config in DRAWN[20:30]]))
    assert cost.posterior(rows).mean[:, 0].numpy() == pytest.approx(expected)
    # The model of accuracy does not see the column of the cost.
    moved = rows.clone()
    moved[:, -1] += 1.0
    assert torch.equal(accuracy.posterior(rows).mean, accuracy.posterior(moved).mean)


@pytest.mark.parametrize("kind", ["one objective", "two objectives", "two unknown objectives"])
def test_what_is_pending_is_worth_nothing_more(kind: str) -> None:
    best = DRAWN[14 + int(_values(PROBLEMS[kind], History(DONE), DRAWN[14:30]).argmax())]
    alone, awaited = (_values(PROBLEMS[kind], History(DONE), [best], pending)[0] for pending in ((), (best,)))
    assert awaited < alone - 1.0


def test_failures_and_constraints_lower_the_worth_of_their_neighbourhood() -> None:
    """Adapters fail, then adapters are too slow: both ways their configurations fall behind the others'."""
    problem = Problem(MIXED, (ACCURACY,))
    others = [config for config in DRAWN if config["method"] != "adapter"]
    adapters = [config for config in DRAWN if config["method"] == "adapter"]
    done = tuple(completed(i, config) for i, config in enumerate(others[:10]))
    failed = tuple(FailedTrial(f"f{i}", config, "x") for i, config in enumerate(adapters[:6]))
    measured = [
        completed(
            i, config, accuracy=0.5 + 0.01 * i, latency_ms=20.0 if config["method"] == "adapter" else 5.0 + i / 50
        )
        for i, config in enumerate((*others[:10], *adapters[:6]))
    ]
    limited = Problem(MIXED, (ACCURACY,), (OutcomeConstraint("latency_ms", max=12.0),))
    for asked, history in ((problem, History(done, failed=failed)), (limited, History(tuple(measured)))):
        bad, good = _values(asked, history, adapters[6:9]), _values(asked, history, others[10:20])
        assert bad.max() < good.max() - 1.0


def test_a_known_constraint_is_kept() -> None:
    limited = PROBLEMS["known constraint"]
    proposal = optimizer("botorch").propose(limited, History(DONE), 2, np.random.default_rng(0))
    assert proposal.notes == ()
    assert [config for config in proposal.configs if parameters(config) > 5_000.0] == []


def test_finds_what_random_draws_do_not() -> None:
    """One continuous optimum: thirteen random draws, then seven suggestions come closer than a hundred draws would."""
    from search_spaces.parameters import Float
    from search_spaces.space import Space

    space = Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)))
    problem, rng = Problem(space, (ACCURACY,)), np.random.default_rng(1)

    def miss(config: Config) -> float:
        return (config["x"] - 0.3) ** 2 + (config["y"] - 0.8) ** 2

    done = [completed(i, config, accuracy=-miss(config)) for i, config in enumerate(space.sample(13, rng))]
    for number in range(7):
        (config,) = optimizer("botorch").propose(problem, History(tuple(done)), 1, rng).configs
        done.append(completed(13 + number, config, accuracy=-miss(config)))
    assert max(trial.metrics["accuracy"] for trial in done) > -0.0005


def test_torch_is_left_as_it_was() -> None:
    import torch

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    optimizer("botorch").propose(TWO, History(DONE), 1, np.random.default_rng(0))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.long
def test_saasbo_proposes_by_the_fully_bayesian_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpyro", reason="comes with the extra botorch")
    monkeypatch.setattr("optimizers.saasbo._EFFORT", (16, 8, 4))
    history = History(DONE, failed=(FailedTrial("f", DRAWN[20], "x"),), pending=(PendingTrial("p", DRAWN[21]),))
    chosen = optimizer("saasbo", inference="nuts")
    proposal = chosen.propose(TWO, history, 2, np.random.default_rng(3))
    assert len(proposal.configs) == 2
    assert proposal.notes == ()
    for config in proposal.configs:
        MIXED.validate(config)
        assert config not in (*DRAWN[:14], DRAWN[20], DRAWN[21])


@pytest.mark.long
def test_the_fully_bayesian_model_knows_which_parameter_matters() -> None:
    pytest.importorskip("numpyro", reason="comes with the extra botorch")
    import torch

    from optimizers.botorch.models import fit_sparse

    rows = torch.tensor(np.random.default_rng(1).random((25, 4)))
    targets = torch.sin(6 * rows[:, 1:2])
    targets = (targets - targets.mean()) / targets.std()
    with optimizers_botorch.alone(np.random.default_rng(0)):
        model = fit_sparse(rows, targets, torch.arange(4), (32, 16, 4), seed=0)
    lengths = model.median_lengthscale.detach()
    assert int(lengths.argmin()) == 1
    assert lengths[1] < 0.2 * min(float(lengths[index]) for index in (0, 2, 3))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*names: str) -> None:
        monkeypatch.setattr(optimizers_botorch, "find_spec", lambda name: None if name in names else find_spec("json"))

    without("botorch")
    with pytest.raises(MissingExtra, match=r"needs botorch; .*pip install 'peftsearch\[botorch\]'"):
        check("botorch", TWO)
    without("numpyro", "jax")
    check("botorch", TWO)
    check("saasbo", TWO)
    with pytest.raises(MissingExtra, match=r"needs jax, numpyro; .*peftsearch\[botorch\]"):
        check("saasbo", TWO, inference="nuts")


def test_refuses_another_inference() -> None:
    with pytest.raises(BadOption, match="inference"):
        optimizer("saasbo", inference="vi")
