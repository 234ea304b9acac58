"""The sampler draws from the density it is given, and the fully Bayesian `saasbo` finds what matters."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.errors import BadOption
from optimizers.gp.length_priors import sparse_potential
from optimizers.gp.nuts import FloatArray, nuts
from optimizers.gp.regression import sample
from optimizers.problem import History
from optimizers.registry import optimizer
from tests.optimizers.computed_problems import MIXED, TWO, completed


def test_draws_have_the_mean_and_covariance_of_the_density() -> None:
    mean, covariance = np.array([1.0, -2.0]), np.array([[1.0, 0.6], [0.6, 0.5]])
    precision = np.linalg.inv(covariance)

    def potential(x: FloatArray) -> tuple[float, FloatArray]:
        slope = precision @ (x - mean)
        return 0.5 * float((x - mean) @ slope), slope

    drawn = nuts(potential, np.zeros(2), 200, 2000, 1, np.random.default_rng(0))
    assert drawn.shape == (2000, 2)
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.15)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.15)


def test_a_wall_of_infinite_potential_is_never_crossed() -> None:
    def potential(x: FloatArray) -> tuple[float, FloatArray]:
        return (float(x[0]), np.ones(1)) if x[0] > 0 else (np.inf, np.zeros(1))

    drawn = nuts(potential, np.ones(1), 100, 500, 1, np.random.default_rng(0))
    assert (drawn > 0).all()
    assert drawn.mean() == pytest.approx(1.0, abs=0.3)


def test_the_gradient_of_the_sparse_prior() -> None:
    point, step = np.array([0.3, -1.0, 2.0, -1.5]), 1e-6
    _, gradient = sparse_potential(point[:-1], float(point[-1]))
    for index in range(len(point)):
        ends = [point + sign * step * np.eye(4)[index] for sign in (1.0, -1.0)]
        up, down = (sparse_potential(end[:-1], float(end[-1]))[0] for end in ends)
        assert gradient[index] == pytest.approx((up - down) / (2 * step), abs=1e-5)


def test_the_posterior_knows_which_parameter_matters() -> None:
    rng = np.random.default_rng(1)
    features = rng.random((25, 4))
    targets = np.sin(6 * features[:, 1])
    processes = sample(features, np.arange(4), (targets - targets.mean()) / targets.std(), 25, (40, 24, 3), rng)
    lengths = np.median([process.lengths for process in processes], axis=0)
    assert len(processes) == 8
    assert lengths.argmin() == 1
    assert lengths[1] < 0.2 * np.delete(lengths, 1).min()


def test_saasbo_proposes_by_nuts() -> None:
    done = tuple(completed(i, config) for i, config in enumerate(MIXED.sample(12, np.random.default_rng(2))))
    proposal = optimizer("saasbo", inference="nuts").propose(TWO, History(done), 1, np.random.default_rng(3))
    assert len(proposal.configs) == 1
    assert proposal.notes == ()


def test_refuses_another_inference() -> None:
    with pytest.raises(BadOption, match="inference"):
        optimizer("saasbo", inference="vi")
