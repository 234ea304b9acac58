"""Plans as pure functions: what follows from which trials."""

from __future__ import annotations

from typing import Any

import pytest

from predictors.answer import OutOfDomain
from service.jobs.mixture.conclusion import comparison
from service.jobs.mixture.plan import MixturePlan
from service.jobs.mixture.spec import MixtureSpec
from service.jobs.plan import Conclusion, Measured
from service.store.records import NewTrial

DOMAINS = ("web", "code", "books")


def plan(**changes: Any) -> MixturePlan:
    """A plan over three domains."""
    spec = {
        "name": "text",
        "kind": "mixture",
        "corpus": {"domains": {name: f"/nowhere/{name}" for name in DOMAINS}},
        "prior": {"web": 0.5, "code": 0.3, "books": 0.2},
        "bytes": {"web": 5_000_000, "code": 3_000_000, "books": 2_000_000},
        "budget": {"trials": 9, "held_out": 2},
        **changes,
    }
    return MixturePlan(MixtureSpec.model_validate(spec))


def measured(new: list[NewTrial], first: int = 0, **changes: Any) -> list[Measured]:
    """The trials as completed ones that stored a model."""
    given = {"state": "completed", "metrics": {"loss": 3.0}, "adapter": "a" * 64, **changes}
    return [
        Measured(number=first + n, label=one.label, config=one.config, seed=one.seed, **given)
        for n, one in enumerate(new)
    ]


def test_mixtures_are_drawn_or_given_and_the_same_each_time() -> None:
    drawn = plan().opening()
    assert [one.label for one in drawn] == [None] * 9 + ["held-out"] * 2
    assert all(sum(one.config.values()) == pytest.approx(1, abs=1e-5) for one in drawn)
    assert plan().opening() == drawn
    assert plan(seed=1).opening() != drawn
    own = [{"web": 0.5, "code": 0.51}] * 8
    given = plan(mixtures=own).opening()
    assert len(given) == 8 + 2
    assert given[0].config == pytest.approx({"web": 0.5 / 1.01, "code": 0.51 / 1.01})


def test_merged_models_are_trained_by_domain_and_averaged_by_mixture() -> None:
    merging = plan(evaluator="merge_proxy")
    domains = merging.opening()
    assert [(one.label, one.config) for one in domains] == [("domain", {name: 1.0}) for name in DOMAINS]
    over = measured(domains)
    averages = merging.conclude(over).more
    assert [one.label for one in averages] == [None] * 9 + ["held-out"] * 2 + ["trained"] * 2
    assert [one.config for one in averages[-2:]] == [one.config for one in averages[-4:-2]]
    with pytest.raises(OutOfDomain, match="books"):
        merging.conclude(over[:2])


@pytest.mark.parametrize(("sign", "correlation"), [(1, 1.0), (-1, -1.0), (0, None)])
def test_the_answer_says_how_averages_rank_what_was_trained(sign: int, correlation: float | None) -> None:
    merging = plan(evaluator="merge_proxy", budget={"trials": 9, "held_out": 4})
    over = measured(merging.opening())
    for number, one in enumerate(merging.conclude(over).more, start=3):
        loss = 3 + one.config["web"] ** 2
        told = loss if one.label != "trained" else 5 + sign * loss
        metrics = {"loss": told, **{f"loss.{name}": told for name in DOMAINS}}
        over += measured([one], number, metrics=metrics)
    answer = merging.conclude(over).answer
    assert answer is not None
    assert answer["averages"] == {"mixtures": 4, "rank_correlation": correlation}
    lost = [one for one in over if one.label != "trained"]
    answer = merging.conclude(lost).answer
    assert answer is not None
    assert answer["averages"] == {"mixtures": 0, "rank_correlation": None}


def test_a_filter_that_failed_ends_the_job() -> None:
    filtering = plan(filter={"method": "ppl_filter"})
    opening = filtering.opening()
    assert [one.label for one in opening] == ["filter"]
    assert len(filtering.conclude(measured(opening)).more) == 11
    with pytest.raises(OutOfDomain, match="filter"):
        filtering.conclude(measured(opening, state="failed"))


def test_too_few_proxies_determine_nothing() -> None:
    opening = plan().opening()
    with pytest.raises(OutOfDomain, match="7 measured mixtures"):
        plan().conclude([*measured(opening[:7]), *measured(opening[7:], 7, state="failed")])


def test_checks_are_compared_in_pairs() -> None:
    losses = {"recommended": (2.0, 2.2, 2.1), "uniform": (2.1, 2.31, 2.2), "natural": (1.9, 2.3)}
    trials = [
        Measured(n, label, "completed", {}, {"test_loss": loss}, seed)
        for n, (label, values) in enumerate(losses.items())
        for seed, loss in enumerate(values)
    ]
    check = comparison(trials)["check"]
    assert check["gain"]["uniform"]["value"] == pytest.approx(0.31 / 3)
    assert 0 < check["gain"]["uniform"]["low"] < 0.31 / 3 < check["gain"]["uniform"]["high"]
    assert check["gain"]["natural"]["low"] < 0
    alone = comparison(trials[:1] + trials[3:4])["check"]["gain"]["uniform"]
    assert (alone["low"], alone["high"]) == (None, None)
    assert comparison([]) == {}


def test_a_later_stage_adds_to_what_is_known() -> None:
    opening = measured(plan().opening())
    checks = [
        Measured(11 + n, label, "completed", {}, {"test_loss": 2.0 + 0.1 * n}, 1)
        for n, label in enumerate(("recommended", "uniform", "natural"))
    ]
    found = plan().conclude([*opening, *checks], {"weights": {"web": 1.0}})
    assert found.answer is not None
    assert found.answer["weights"] == {"web": 1.0}
    assert found.answer["check"]["gain"]["natural"]["value"] == pytest.approx(0.2)
    assert found.more == ()
    assert Conclusion.from_json(found.to_json()) == found
