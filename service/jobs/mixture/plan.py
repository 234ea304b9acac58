"""The course of a mixture job.

[filter] → proxies on drawn mixtures, or one a domain, averages of them, and trainings of the held-out mixtures
         → regression and search on the simplex
         → check runs of the recommended, the uniform and the natural mixture [and a soup of the best proxies]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from predictors.answer import OutOfDomain
from predictors.mixture_design import sample_mixtures
from service.jobs.mixture.conclusion import comparison, faithfulness, recommendation, soup_summary
from service.jobs.mixture.spec import LEAST_MIXTURES, MixtureSpec
from service.jobs.plan import Conclusion, Measured
from service.jobs.seeds import confirmation_seed
from service.store.records import NewTrial, Trial
from workers.proxies.spec import Part, ProxyAssignment

FILTER, HELD_OUT, DOMAIN, SOUP = "filter", "held-out", "domain", "soup"
TRAINED = "trained"  # a held-out mixture really trained: what its average is judged by
CHECKED = ("recommended", "uniform", "natural")
SHARED = 0.5  # of the steps of a domain's run, on the natural mixture: only from a common start can weights be averaged
BYTES_PER_TOKEN = 3.0  # of byte pairs, roughly: only the limit on repetitions rests on it


@dataclass(frozen=True)
class MixturePlan:
    """See `service.jobs.plan.Plan`. `sizes` in the admitted spec are the bytes of each domain."""

    spec: MixtureSpec

    def opening(self) -> list[NewTrial]:
        """The document filter where there is one, else the proxies."""
        if self.spec.filter is not None:
            return [NewTrial(self._prior(), "design", self.spec.seed, FILTER)]
        return self._first_proxies()

    def assignment(self, trial: Trial, over: Sequence[Measured]) -> ProxyAssignment:
        """A proxy to train, an average or a soup to measure, or a filter to apply."""
        spec, ended = self.spec, [one for one in over if one.completed]
        merging = spec.evaluator == "merge_proxy"
        role = _role(trial.label, merging)
        selection = next((one.model for one in ended if one.label == FILTER), None)
        return ProxyAssignment(
            trial_id=trial.id,
            attempt=trial.attempt,
            role=role,
            corpus=spec.corpus,
            proxy=spec.proxy,
            weights=trial.config,
            target=spec.target_domains,
            seed=trial.seed,
            data_seed=spec.seed,
            shared=SHARED if trial.label == DOMAIN else 0.0,
            shared_weights=self._prior() if trial.label == DOMAIN else {},
            keep_model=trial.label == DOMAIN or (spec.soup is not None and trial.label not in CHECKED),
            parts=self._parts(role, trial, ended),
            greedy=spec.soup is None or spec.soup.kind == "greedy",
            filter=spec.filter,
            selection=None if role == "filter" else selection,
        )

    def conclude(self, trials: Sequence[Measured], known: Mapping[str, Any] | None = None) -> Conclusion:
        """The next stage, or the recommendation, or the recommendation with its check."""
        completed = [one for one in trials if one.completed]
        labels = {one.label for one in trials}
        if labels == {FILTER}:
            if not completed:
                raise OutOfDomain("filter", trials[0].state, "a filter that was trained to its end")
            return Conclusion(more=tuple(self._first_proxies()))
        if self.spec.evaluator == "merge_proxy" and None not in labels:
            return self._averages(completed)
        if known is not None and labels & {*CHECKED, SOUP}:
            return Conclusion({**known, **_checked(completed)})
        return self._answer(completed, labels)

    # Stages

    def _prior(self) -> dict[str, float]:
        assert isinstance(self.spec.prior, dict), "admission turns names of priors into weights"
        return self.spec.prior

    def _first_proxies(self) -> list[NewTrial]:
        if self.spec.evaluator == "merge_proxy":
            return [NewTrial({domain: 1.0}, "design", self.spec.seed, DOMAIN) for domain in self.spec.domains]
        return self._mixtures()

    def _mixtures(self) -> list[NewTrial]:
        """The mixtures to learn from, then those held out. All share one seed: they differ by their mixture only."""
        spec, budget = self.spec, self.spec.budget
        given = [_normalised(weights) for weights in spec.mixtures]
        count = (0 if given else budget.trials) + budget.held_out
        prior = np.array([self._prior()[domain] for domain in spec.domains])
        tokens = np.array([spec.bytes[domain] for domain in spec.domains]) / BYTES_PER_TOKEN
        drawn = sample_mixtures(prior, count, spec.proxy.tokens / np.maximum(tokens, 1.0), spec.seed)
        named = given + [_named(spec.domains, row) for row in drawn]
        kept = len(named) - budget.held_out
        return [
            NewTrial(weights, "design", spec.seed, None if number < kept else HELD_OUT)
            for number, weights in enumerate(named)
        ]

    def _averages(self, completed: Sequence[Measured]) -> Conclusion:
        trained = {next(iter(one.config)) for one in completed}
        lacking = [domain for domain in self.spec.domains if domain not in trained]
        if lacking:
            raise OutOfDomain("trials", f"no proxy of {', '.join(lacking)}", "a trained proxy of every domain")
        mixtures = self._mixtures()
        again = [replace(one, label=TRAINED) for one in mixtures if one.label == HELD_OUT]
        return Conclusion(more=(*mixtures, *again))

    def _answer(self, completed: Sequence[Measured], labels: set[str | None]) -> Conclusion:
        spec = self.spec
        learnt = [one for one in completed if one.label is None]
        if len(learnt) < LEAST_MIXTURES:
            raise OutOfDomain("trials", f"{len(learnt)} measured mixtures", f"at least {LEAST_MIXTURES}")
        held = [one for one in completed if one.label == HELD_OUT]
        answer = recommendation(spec.domains, spec.target_domains, learnt, held, self._prior(), spec.seed)
        if spec.evaluator == "merge_proxy":
            answer |= faithfulness(held, [one for one in completed if one.label == TRAINED])
        more = [] if labels & {*CHECKED, SOUP} else [*self._checks(answer["weights"]), *self._soup()]
        return Conclusion(answer if more else {**answer, **_checked(completed)}, tuple(more))

    def _checks(self, recommended: Mapping[str, float]) -> list[NewTrial]:
        if self.spec.check is None:
            return []
        even = 1 / len(self.spec.domains)
        mixtures = (dict(recommended), dict.fromkeys(self.spec.domains, even), self._natural())
        return [
            NewTrial(
                mixture, "design" if label == CHECKED[0] else "reference", confirmation_seed(self.spec.seed, n), label
            )
            for n in range(self.spec.check.seeds)
            for label, mixture in zip(CHECKED, mixtures, strict=True)
        ]

    def _natural(self) -> dict[str, float]:
        return _normalised({domain: float(size) for domain, size in self.spec.bytes.items()})

    def _soup(self) -> list[NewTrial]:
        return [] if self.spec.soup is None else [NewTrial(self._prior(), "design", self.spec.seed, SOUP)]

    def _parts(self, role: str, trial: Trial, ended: Sequence[Measured]) -> tuple[Part, ...]:
        if role == "average":
            models = {next(iter(one.config)): one.model for one in ended if one.label == DOMAIN}
            return tuple(Part(model=models[name], weight=weight) for name, weight in trial.config.items() if weight > 0)
        if role == "soup" and self.spec.soup is not None:
            trained = [one for one in ended if one.label is None]
            best = sorted(trained, key=lambda one: one.metrics["loss"])[: self.spec.soup.of]
            return tuple(Part(model=one.model, weight=1.0) for one in best)
        return ()


def proxies_of(trials: Iterable[Measured]) -> list[Measured]:
    """Those that tell what a mixture is worth, oldest first: learnt from or held out, and measured to their end."""
    return [one for one in trials if one.completed and one.label in (None, HELD_OUT)]


def _checked(completed: Sequence[Measured]) -> dict[str, Any]:
    checks = [one for one in completed if one.label in CHECKED]
    return comparison(checks) | soup_summary([one for one in completed if one.label == SOUP])


def _role(label: str | None, merging: bool) -> str:
    if label in (FILTER, SOUP):
        return str(label)
    return "average" if merging and label in (None, HELD_OUT) else "train"


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {domain: weight / total for domain, weight in weights.items()}


def _named(domains: Sequence[str], row: Any) -> dict[str, float]:
    return {domain: round(float(weight), 6) for domain, weight in zip(domains, row, strict=True)}
