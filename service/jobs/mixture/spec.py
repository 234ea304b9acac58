"""`kind: mixture`: which mixture of data domains to train on, learnt from small proxies (RegMix, METHODS.md row 89)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.jobs.search.spec import ObjectiveSpec, ResourcesSpec, Section
from workers.bounded import Seed
from workers.proxies.spec import CorpusSpec, DomainName, FilterSpec, ProxySpec, SoupSpec, Weights

LEAST_MIXTURES = 8  # as the regression needs


class MixtureBudget(Section):
    """How many proxies are trained. Check runs and a soup come on top."""

    trials: int = Field(
        default=32, ge=LEAST_MIXTURES, le=2000, description="mixtures that the regression learns from; at least eight"
    )
    held_out: int = Field(default=8, ge=0, le=500, description="further mixtures that only test the regression")


class CheckSpec(Section):
    """Afterwards: train proxies on the recommended, the uniform and the natural mixture with fresh seeds."""

    seeds: int = Field(default=3, ge=2, le=20, description="trainings of each; those of one seed compare in pairs")


class LossObjective(ObjectiveSpec):
    """What every mixture job lowers: the mean validation loss of its target domains."""

    metric: Literal["loss"] = "loss"
    direction: Literal["minimize"] = "minimize"


class MixtureSpec(Section):
    """The whole of a mixture job."""

    name: str = Field(min_length=1, max_length=200)
    kind: Literal["mixture"]
    corpus: CorpusSpec
    proxy: ProxySpec = ProxySpec()
    target: list[DomainName] = Field(
        default=[], description="domains whose validation losses are averaged; empty: all of them"
    )
    prior: Literal["natural", "uniform"] | Weights = Field(
        default="natural", description="where mixtures are drawn around: shares of bytes, equal shares, or your own"
    )
    mixtures: Annotated[list[Weights], Field(max_length=2000)] = Field(
        default=[], description="mixtures of your own to train on, in place of drawn ones; at least eight"
    )
    evaluator: Literal["train", "merge_proxy"] = Field(
        default="train",
        description="`train`: a proxy for each mixture; `merge_proxy`: one for each domain, mixtures are averages of "
        "their weights (METHODS.md row 52)",
    )
    filter: FilterSpec | None = None
    soup: SoupSpec | None = None
    check: CheckSpec | None = CheckSpec()
    budget: MixtureBudget = MixtureBudget()
    objectives: list[LossObjective] = Field(default=[LossObjective()], min_length=1, max_length=1)
    resources: ResourcesSpec = ResourcesSpec()
    bytes: dict[DomainName, int] = Field(
        default={}, description="size of each domain's text; filled in when the job is admitted"
    )
    seed: Seed = 0

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains in their order."""
        return tuple(self.corpus.domains)

    @property
    def target_domains(self) -> tuple[str, ...]:
        """The domains whose losses count."""
        return tuple(self.target) or self.domains
