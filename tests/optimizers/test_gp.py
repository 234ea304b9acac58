"""The Gaussian process, its features and its acquisition against slower definitions, and against BoTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from optimizers.evidence import read
from optimizers.gp import regression
from optimizers.gp.acquisition import acquisition
from optimizers.gp.features import feature_map
from optimizers.gp.improvement import Points, expected_shortfall, improvement, open_cells
from optimizers.gp.length_priors import FEW_MATTER, LengthPrior, Moderate, Sparse
from optimizers.gp.outcomes import scaling
from optimizers.gp.search import best_new
from optimizers.gp.surrogate import learn
from optimizers.novelty import Novelty
from optimizers.pareto import hypervolume
from optimizers.problem import CompletedTrial, Config, FailedTrial, History, Objective, Problem
from optimizers.registry import optimizer
from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Float
from search_spaces.space import Space
from tests.optimizers.computed_problems import MIXED, PROBLEMS, completed, quality

RNG = np.random.default_rng(0)


def _wavy(points: np.ndarray) -> np.ndarray:
    return np.sin(5 * points[:, 0]) + points[:, 1] ** 2


@pytest.fixture(scope="module")
def wavy() -> regression.GaussianProcess:
    rng = np.random.default_rng(0)
    points = rng.random((40, 3))
    return regression.fit(points, np.arange(3), _wavy(points) + 0.01 * rng.standard_normal(40))


@pytest.mark.parametrize("prior", [Moderate(), Sparse(0.1)])
def test_gradient_of_the_posterior_is_its_derivative(prior: LengthPrior) -> None:
    rng = np.random.default_rng(1)
    rows, values, counts = rng.random((15, 4)), rng.standard_normal(15), rng.integers(1, 4, 15)
    parameters = np.append(rng.normal(0, 0.5, 3), -2.0)
    arguments = (rows, np.array([0, 1, 1, 2]), values, counts, prior)
    _, gradient = regression._negative_log_posterior(parameters, *arguments)
    numeric = approx_fprime(parameters, lambda at: regression._negative_log_posterior(at, *arguments)[0], 1e-6)
    assert gradient == pytest.approx(numeric, abs=1e-4)


def test_prediction_is_close_and_knows_how_close(wavy: regression.GaussianProcess) -> None:
    points = np.random.default_rng(2).random((500, 3))
    mean, variance = wavy.predict(points)
    errors = mean - _wavy(points)
    assert np.sqrt((errors**2).mean()) < 0.05
    assert (np.abs(errors) < 3 * np.sqrt(variance)).mean() > 0.95
    assert wavy.lengths[2] > 2 * wavy.lengths[0]  # the third parameter does nothing


def test_sparse_prior_finds_the_few_parameters_that_matter() -> None:
    rng = np.random.default_rng(5)
    points, fresh = rng.random((40, 20)), rng.random((300, 20))
    targets = _wavy(points) + 0.01 * rng.standard_normal(40)
    sparse = regression.fit(points, np.arange(20), targets, priors=FEW_MATTER)
    dense = regression.fit(points, np.arange(20), targets)
    assert sorted(np.argsort(sparse.lengths)[:2]) == [0, 1]
    error = [np.abs(model.predict(fresh)[0] - _wavy(fresh)).mean() for model in (sparse, dense)]
    assert error[0] < error[1]


def test_repeated_measurements_count_as_one_better_one() -> None:
    rng = np.random.default_rng(3)
    points = rng.random((12, 2))
    often = np.repeat(points, 8, axis=0)
    noisy = _wavy(often) + 0.3 * rng.standard_normal(96)
    fitted = regression.fit(often, np.arange(2), noisy)
    assert len(fitted.scaled) == 12
    assert np.abs(fitted.predict(points)[0] - _wavy(points)).mean() < 0.15


def test_conditional_parameters_agree_where_inactive_and_keep_their_distance_where_not() -> None:
    space = Space(
        (Categorical("on", (False, True)), Float("x", 0.0, 1.0), Categorical("kind", ("a", "b", "c"))),
        (Condition("x", "on", (True,)),),
    )
    features = feature_map(space)
    off, low, high = features(
        [{"on": False, "kind": "a"}, {"on": True, "x": 0.0, "kind": "a"}, {"on": True, "x": 1.0, "kind": "a"}]
    )
    assert features.groups.tolist() == [0, 2, 2, 2, 1, 1]
    assert np.sum((low - high) ** 2) == pytest.approx(2.0)
    assert np.sum((low - off) ** 2) == np.sum((high - off) ** 2) == pytest.approx(2.0)  # the switch and the centre
    kinds = features([{"on": False, "kind": kind} for kind in "abc"])
    assert np.linalg.norm(kinds[0] - kinds[1]) == pytest.approx(1.0) == np.linalg.norm(kinds[1] - kinds[2])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_scaling_is_finite_and_keeps_order(values: list[float]) -> None:
    given_values = np.sort(np.array(values))
    scaled = scaling(given_values)(given_values)
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled) >= 0).all()


def test_scaling_leaves_the_front_alone_however_many_trials_pile_up_at_one_end() -> None:
    piled = np.concatenate([np.linspace(-0.02, 0.02, 30), np.linspace(0.0, 1.0, 5)])
    assert scaling(piled).cut < 0.2
    assert scaling(piled, kept=np.array([0.0, 1.0])).cut == pytest.approx(1.25)
    assert scaling(np.array([0.01, 1.0, 10.0]), decades=False).floor is None


def test_scaling_takes_the_logarithm_of_costs_that_span_decades() -> None:
    assert scaling(np.array([0.0, 10.0, 1e6])).floor == 10.0
    assert scaling(np.array([1.0, 10.0, 1e6])).floor == 0.0
    assert scaling(np.array([-0.9, -0.5])).floor is None


@given(st.integers(1, 4), st.integers(0, 6), st.integers(0, 1000))
def test_open_cells_and_the_front_fill_the_box(objectives: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 5, (count, objectives)).astype(float)
    reference = np.full(objectives, 5.0)
    lower, upper = open_cells(values, reference)
    volume = np.prod(upper - np.maximum(lower, -1.0), axis=1).sum()  # the box from −1 to 5
    assert volume == pytest.approx(6.0**objectives - hypervolume(values, reference))


@settings(max_examples=20)
@given(st.floats(-4, 4), st.floats(-2, 2), st.floats(0.1, 3))
def test_expected_shortfall_is_the_expectation(bound: float, mean: float, deviation: float) -> None:
    draws = np.random.default_rng(0).normal(mean, deviation, 400_000)
    measured = np.maximum(bound - draws, 0).mean()
    found = expected_shortfall(np.array(bound), np.array(mean), np.array(deviation))
    assert found == pytest.approx(measured, rel=0.02, abs=0.003)


def test_expected_shortfall_stays_ordered_far_below_the_bound() -> None:
    far = expected_shortfall(np.zeros(35), np.arange(1.0, 36.0), np.ones(35))
    assert (far > 0).all()
    assert (np.diff(far) < 0).all()
    assert expected_shortfall(np.array(-np.inf), np.zeros(1), np.ones(1)) == 0.0


def test_improvement_agrees_with_botorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same processes, front and reference: our closed form against qLogNEHVI's Monte Carlo."""
    import torch
    from botorch.acquisition.multi_objective import logei
    from botorch.models import ModelListGP
    from botorch.sampling import SobolQMCNormalSampler

    # BoTorch would spend a minute on compiling a kernel that this one evaluation does not need.
    monkeypatch.setattr(logei, "_load_attempted", True)
    rng = np.random.default_rng(4)
    rows = rng.random((10, 3))
    targets = np.stack([_wavy(rows), np.cos(4 * rows[:, 2]) + rows[:, 0]], axis=1)
    targets = (targets - targets.mean(axis=0)) / targets.std(axis=0)
    models = [regression.fit(rows, np.arange(3), column) for column in targets.T]
    reference = np.array([1.0, 1.0])
    ours = improvement(
        models, Points(rows, np.full((10, 2), np.nan)), np.zeros((0, 2)), reference, 256, np.random.default_rng(0)
    )
    candidates = rng.random((60, 3))
    mine = ours(Points(candidates, np.full((60, 2), np.nan)))
    acquisition = logei.qLogNoisyExpectedHypervolumeImprovement(
        model=ModelListGP(
            *[_botorch_twin(model, rows, column) for model, column in zip(models, targets.T, strict=True)]
        ),
        ref_point=(-reference).tolist(),
        X_baseline=torch.tensor(rows),
        sampler=SobolQMCNormalSampler(torch.Size([256]), seed=0),
    )
    with torch.no_grad():
        theirs = acquisition(torch.tensor(candidates)[:, None]).exp().numpy()
    assert mine == pytest.approx(theirs, rel=0.25, abs=0.1 * theirs.max())
    assert np.corrcoef(mine, theirs)[0, 1] > 0.99


def _botorch_twin(model: regression.GaussianProcess, rows: np.ndarray, targets: np.ndarray) -> object:
    """A BoTorch model of `-targets` (BoTorch maximises) with the hyperparameters of `model`."""
    import torch
    from botorch.models import SingleTaskGP
    from gpytorch.kernels import MaternKernel, ScaleKernel

    twin = SingleTaskGP(
        torch.tensor(rows),
        torch.tensor(-targets)[:, None],
        train_Yvar=torch.full((len(rows), 1), model.noise, dtype=torch.double),
        covar_module=ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=rows.shape[1])).double(),
        outcome_transform=None,
    )
    twin.mean_module.initialize(constant=torch.tensor(-model.mean, dtype=torch.double))
    twin.covar_module.outputscale = model.variance
    twin.covar_module.base_kernel.lengthscale = torch.tensor(model.lengths)
    return twin.eval()


def test_search_finds_the_best_of_a_mixed_space() -> None:
    """The acquisition is replaced by the real quality, which climbing must maximise to near its top."""
    novelty, rng = Novelty(History()), np.random.default_rng(0)

    def worth(configs: object) -> np.ndarray:
        return np.array([quality(config) for config in configs])  # type: ignore[attr-defined]

    parents = MIXED.sample(10, rng)
    found = best_new(MIXED, worth, worth, parents, novelty, rng)
    best_of_many = max(quality(config) for config in MIXED.sample(20_000, np.random.default_rng(1)))
    assert found is not None
    assert quality(found) > best_of_many


def test_search_reaches_a_corner_of_many_continuous_parameters_exactly() -> None:
    space = Space(tuple(Float(f"x{index}", 0.0, 1.0) for index in range(8)))

    def worth(configs: Sequence[Config]) -> np.ndarray:
        return np.array([2.0 - sum(config.values()) / 8 + 0.1 * config["x0"] * config["x1"] for config in configs])

    found = best_new(space, worth, worth, space.sample(3, np.random.default_rng(1)), Novelty(History()), RNG)
    assert found == dict.fromkeys(space.by_name, 0.0)


def test_the_reference_does_not_shrink_to_a_front_that_is_short_by_chance() -> None:
    """All trials but one sit at one end of `a`: what lies beyond must still count."""
    space = Space((Float("a", 0.0, 1.0), Float("b", 0.0, 1.0)))
    configs = [{"a": 0.0, "b": b} for b in (0.1, 0.4, 0.7)] + [{"a": 0.9, "b": 1.0}, {"a": 0.7, "b": 0.9}]
    done = tuple(
        CompletedTrial(str(i), config, {"f": config["a"] - 1e-3 * i, "g": 1.0 - config["a"] + config["b"]})
        for i, config in enumerate(configs)
    )
    problem = Problem(space, (Objective("f", "minimize"), Objective("g", "minimize")))
    evidence = read(problem, History(done))
    surrogate = learn(problem, evidence, 100, 100)
    worths = [acquisition(surrogate, evidence, (), 0.0, 0.0, np.random.default_rng(seed)) for seed in range(6)]
    assert max(float(worth([{"a": 0.5, "b": 0.1}])[0]) for worth in worths) > 0.05


def test_the_reference_does_not_reach_out_to_a_corner_that_is_hopeless_in_one_objective() -> None:
    """`g` of the trial with the best `f` is worse than nine of ten configurations can be expected to be."""
    space = Space((Float("a", 0.0, 1.0), Float("b", 0.0, 1.0)))
    configs = [{"a": 0.0, "b": 0.5}, *space.sample(20, np.random.default_rng(5))]
    done = tuple(
        CompletedTrial(str(i), config, {"f": config["a"], "g": 10.0 * (1.0 - config["a"]) ** 8 + config["b"]})
        for i, config in enumerate(configs)
    )
    problem = Problem(space, (Objective("f", "minimize"), Objective("g", "minimize")))
    evidence = read(problem, History(done))
    surrogate = learn(problem, evidence, 100, 100)
    corner = surrogate.scaled(np.array([[0.0, 10.5]]))[0, 1]
    bounds = [
        acquisition(surrogate, evidence, (), 0.0, 0.0, np.random.default_rng(seed)).improvement.upper[..., -1].max()
        for seed in range(6)
    ]
    assert max(bounds) < 0.7 * corner


def test_of_equal_promise_the_cheaper_is_tried_first_while_much_of_a_time_budget_is_left() -> None:
    """Deep trainings take ten times as long; depth changes nothing else."""
    space = Space((Categorical("deep", (False, True)), Float("x", 0.0, 1.0)))
    rng = np.random.default_rng(3)
    trials = tuple(
        CompletedTrial(
            str(number),
            config,
            {"loss": (config["x"] - 0.5) ** 2, "seconds": (10.0 if config["deep"] else 1.0) * rng.lognormal(0, 0.1)},
        )
        for number, config in enumerate(space.sample(12, rng))
    )
    cheap, deep = ({"deep": side, "x": 0.52} for side in (False, True))

    def preference(cost: str | None, thrift: float) -> float:
        problem = Problem(space, (Objective("loss", "minimize"),), cost=cost)
        evidence = read(problem, History(completed=trials))
        worth = acquisition(learn(problem, evidence, 400, 200), evidence, [], 0.0, thrift, np.random.default_rng(0))
        of_cheap, of_deep = worth([cheap, deep])
        return float(of_cheap / of_deep)

    indifferent = preference(None, 1.0)
    assert preference("seconds", 0.0) == pytest.approx(indifferent)
    assert preference("seconds", 1.0) == pytest.approx(10 * indifferent, rel=0.2)
    assert preference("seconds", 0.5) == pytest.approx(10**0.5 * indifferent, rel=0.2)
    assert preference("never_measured", 1.0) == pytest.approx(indifferent)


def test_a_share_of_the_suggestions_looks_for_the_best_of_the_first_objective_alone() -> None:
    """Budgets for a known cost rarely leave room for the dearest configurations, and often these are the best."""
    problem = PROBLEMS["two objectives"]
    done = tuple(completed(i, config) for i, config in enumerate(MIXED.sample(12, np.random.default_rng(2))))
    evidence = read(problem, History(done))
    surrogate = learn(problem, evidence, 100, 100)
    drawn = [acquisition(surrogate, evidence, (), 0.0, 0.0, np.random.default_rng(seed)) for seed in range(100)]
    alone = [one for one in drawn if one.budget is None]
    assert 5 <= len(alone) <= 35
    assert {tuple(one.modelled) for one in alone} == {(0,)}


@pytest.mark.parametrize("seed", range(3))
def test_a_region_that_only_failed_is_left_alone_though_it_was_never_measured(seed: int) -> None:
    """The best lies beside it: once that is found, nothing promises more than what nobody could measure."""
    problem = Problem(Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0))), (Objective("loss", "minimize"),))
    done: list[CompletedTrial] = []
    failed: list[FailedTrial] = []
    for number in range(30):
        history = History(tuple(done), failed=tuple(failed))
        (config,) = optimizer("gp", seed=seed).propose(problem, history, 1, np.random.default_rng(number)).configs
        if config["x"] > 0.5:
            failed.append(FailedTrial(str(number), config, "nan_loss: x"))
        else:
            loss = (config["x"] - 0.45) ** 2 + config["y"] ** 2
            done.append(CompletedTrial(str(number), config, {"loss": loss}))
    assert sum(int(trial.id) >= 15 for trial in failed) <= 5  # of fifteen; fourteen before
    assert min(trial.metrics["loss"] for trial in done) < 0.002
