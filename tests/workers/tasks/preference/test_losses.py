"""DPO's losses are TRL's formulas: numbers worked out by hand from log-ratios of 0.7 (chosen) and -0.4 (rejected)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from workers.hyperparameters import Hyperparameters
from workers.tasks.catalogue.preference import TASK, PreferenceSpec
from workers.tasks.criterion import FROZEN, IGNORED, Criterion

TARGETS = torch.tensor([[5, 6, IGNORED, IGNORED], [5, 6, 7, 8]])


def scores() -> Tensor:
    """Log π of -1.3 over two tokens against -2.0 of the base, and -4.4 over four against -4.0."""
    outputs = torch.zeros(2, 4, 4, dtype=torch.float64)
    outputs[0, :2, 0], outputs[0, :2, FROZEN] = torch.tensor([0.3, 1.0]), torch.tensor([1.2, 0.8])
    outputs[1, :, 0], outputs[1, :, FROZEN] = 1.1, 1.0
    return outputs


def criterion(loss_type: str) -> Criterion:
    section = PreferenceSpec(model="m", train="t", loss_type=loss_type)  # type: ignore[arg-type]
    return TASK.criterion(section, ())


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def logit(p: float) -> float:
    return math.log(p / (1 - p))


@pytest.mark.parametrize(
    ("loss_type", "beta", "smoothing", "expected"),
    [
        ("sigmoid", 0.1, 0.0, -math.log(sigmoid(0.11))),
        ("sigmoid", 0.5, 0.1, -0.9 * math.log(sigmoid(0.55)) - 0.1 * math.log(sigmoid(-0.55))),
        ("hinge", 0.1, 0.0, 0.89),
        ("hinge", 1.0, 0.0, 0.0),
        ("ipo", 0.1, 0.0, (0.7 / 2 + 0.4 / 4 - 5.0) ** 2),
        ("orpo", 0.1, 0.0, 0.65 - 0.1 * math.log(sigmoid(logit(math.exp(-0.65)) - logit(math.exp(-1.1))))),
        ("orpo", 1.0, 0.0, 1.02625519),
    ],
)
def test_the_losses_are_those_of_trl(loss_type: str, beta: float, smoothing: float, expected: float) -> None:
    chosen = Hyperparameters(dpo_beta=beta, label_smoothing=smoothing)
    twice = torch.cat([scores(), scores()]), torch.cat([TARGETS, TARGETS])
    assert float(criterion(loss_type).loss(scores(), TARGETS, chosen)) == pytest.approx(expected)
    assert float(criterion(loss_type).loss(*twice, chosen)) == pytest.approx(2 * expected)


def test_without_the_base_the_model_is_its_own_base_and_still_learns() -> None:
    outputs = scores()[..., :3].requires_grad_()
    loss = criterion("sigmoid").loss(outputs, TARGETS, Hyperparameters())
    assert float(loss) == pytest.approx(math.log(2))
    loss.backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 0, 0] == pytest.approx(0.05)  # βσ(0): the chosen answer is to become likelier
    assert outputs.grad[1, 0, 0] == pytest.approx(-0.05)


def test_odds_of_what_is_certain_are_numbers_and_have_a_gradient() -> None:
    outputs = scores().float()
    outputs[0, :, 0] = 0.0
    outputs.requires_grad_()
    loss = criterion("orpo").loss(outputs, TARGETS, Hyperparameters())
    loss.backward()
    assert outputs.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(outputs.grad).all()
    assert outputs.grad[1, 0, 0] < 0  # a higher negative log-likelihood of the rejected answer lowers the loss


def test_orpo_needs_no_base() -> None:
    changed = scores()
    changed[..., FROZEN] = 3.0
    chosen = Hyperparameters(dpo_beta=0.5)
    same, other = (float(criterion("orpo").loss(one, TARGETS, chosen)) for one in (scores(), changed))
    assert same == other


def test_the_metrics_of_a_pair_and_of_ties() -> None:
    measure = criterion("sigmoid").measure()
    measure.add(scores().float(), TARGETS)
    ratios = [0.9, -0.2, -0.1, -0.1, -0.1, -0.1]  # log π/π₀ of each token
    assert measure.result() == pytest.approx(
        {
            "reward_accuracy": 1.0,
            "reward_margin": 1.1,
            "kl": sum(math.exp(-one) - 1 + one for one in ratios) / 6,
            "chosen_logp": -1.3,
            "loss": -math.log(sigmoid(0.11)),
        },
        rel=1e-5,
    )
    same = scores()
    same[..., FROZEN] = same[..., 0]
    measure.add(same.float(), TARGETS)
    assert measure.result()["reward_accuracy"] == 0.75  # the untouched base prefers neither


def _three() -> tuple[Tensor, Tensor]:
    """The pair above and another pair's answer behind it, with a log-ratio of 0.5."""
    third = torch.zeros(1, 4, 4, dtype=torch.float64)
    third[0, :2, 0], third[0, :2, FROZEN] = 1.0, 1.25
    return torch.cat([scores(), third]), torch.cat([TARGETS, TARGETS[:1]])


def test_kto_judges_answers_by_themselves_beside_those_to_other_prompts() -> None:
    outputs, targets = _three()
    outputs.requires_grad_()
    loss = criterion("kto").loss(outputs, targets, Hyperparameters(dpo_beta=0.5))
    assert float(loss) == pytest.approx((2 - sigmoid(0.5 * (0.7 - 0.5)) - sigmoid(0.5 * (0.5 + 0.4))) / 2)
    loss.backward()
    assert outputs.grad is not None
    assert not outputs.grad[2].any()  # what the shift is measured on is not trained
    assert outputs.grad[0, 0, 0] > 0 > outputs.grad[1, 0, 0]


def test_kto_is_measured_over_all_pairs_however_they_are_batched() -> None:
    (first, targets), other = _three(), _three()[0]
    other[2, :2, 0] = 0.1  # a shift of its own
    apart, together = criterion("kto").measure(), criterion("kto").measure()
    for part in (first, other):
        apart.add(part.float(), targets)
    together.add(torch.cat([first, other]).float(), torch.cat([targets, targets]))
    merged, second = criterion("kto").measure(), criterion("kto").measure()
    merged.add(first.float(), targets)
    second.add(other.float(), targets)
    merged.merge(second)
    assert apart.result() == pytest.approx(together.result())
    assert merged.result() == pytest.approx(together.result())
    plain = criterion("sigmoid").measure()
    plain.add(scores().float(), TARGETS)
    assert together.result()["kl"] == pytest.approx(plain.result()["kl"])  # of the pair's own answers alone
