"""The steps of a refine job and what a worker is given for one of them. Imports neither torch nor ray."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from workers.assignment import Artifact, Assignment, Config

Share = Annotated[float, Field(gt=0, lt=1)]
Scale = Annotated[float, Field(gt=0, le=100)]


class StepSection(BaseModel):
    """A step: every combination of its lists is a trial of its own.

    With `gathers` one trial takes all results of the step before, else there is one for each of the best of them.
    `afresh` trials are ordinary trainings, which take nothing over from them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    step: str
    gathers: ClassVar[bool] = False
    afresh: ClassVar[bool] = False

    def choices(self) -> list[dict[str, Any]]:
        """Every combination of what is listed, and each time what is not."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "step"}
        lists = {name: value for name, value in values.items() if isinstance(value, list)}
        plain = {name: value for name, value in values.items() if name not in lists}
        return [plain | dict(zip(lists, chosen, strict=True)) for chosen in product(*lists.values())]


class CompressStep(StepSection):
    """ComPEFT: of what training changed, the largest entries by their sign and one scale; stored in a coded file."""

    step: Literal["compress"]
    keep: list[Share] = Field(
        default=[0.05, 0.1, 0.2, 0.3, 0.5], min_length=1, max_length=20, description="share of entries that are kept"
    )
    scales: tuple[Scale, ...] = Field(
        default=(0.5, 1, 2, 3, 4, 5, 6, 8, 10),
        min_length=1,
        max_length=50,
        description="α, in standard deviations of the change; the best on the validation rows is taken",
    )


class SoupStep(StepSection):
    """A model soup of LoRA winners: the mean of their updates, of all or of those that the validation rows want."""

    step: Literal["soup"]
    kind: list[Literal["greedy", "uniform"]] = Field(default=["greedy"], min_length=1, max_length=2)
    gathers: ClassVar[bool] = True


class MergeStep(StepSection):
    """LoRA winners as task vectors: their updates added, with or without a rule against their interference."""

    step: Literal["merge"]
    rule: list[Literal["task_arithmetic", "ties", "dare_linear", "dare_ties"]] = Field(
        default=["task_arithmetic", "ties"], min_length=1, max_length=4
    )
    weight: list[Annotated[float, Field(gt=-10, lt=10)]] = Field(
        default=[0.5, 1.0], min_length=1, max_length=10, description="of every update in the sum"
    )
    density: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=[0.5], min_length=1, max_length=10, description="share of entries that `ties` and `dare_…` keep"
    )
    gathers: ClassVar[bool] = True

    def choices(self) -> list[dict[str, Any]]:
        """Every combination; plain sums keep all entries, so that a density says nothing of them."""
        whole = super().choices()
        return [one for one in whole if one["rule"] != "task_arithmetic" or one["density"] == self.density[0]]


class PruneStep(StepSection):
    """PERP: prune the base under a LoRA winner and retrain the winner's factors, whose update keeps the zeros."""

    step: Literal["prune_retrain"]
    pattern: list[Literal["free", "2:4"]] = Field(default=["free"], min_length=1, max_length=2)
    sparsity: list[Annotated[float, Field(ge=0.1, le=0.9)]] = Field(
        default=[0.5], min_length=1, max_length=9, description="of the pattern `free`"
    )
    learning_rate: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default=[1e-3], min_length=1, max_length=10)
    epochs: float = Field(default=1.0, gt=0, le=1000)

    def choices(self) -> list[dict[str, Any]]:
        """Every combination; 2:4 has the sparsity that its name says."""
        whole = super().choices()
        return [one for one in whole if one["pattern"] == "free" or one["sparsity"] == self.sparsity[0]]


class DimensionStep(StepSection):
    """Intrinsic dimension: trainings in random subspaces, and the smallest one that reaches a share of the source."""

    step: Literal["d90"]
    dimensions: list[Annotated[int, Field(ge=10, le=10_000)]] = Field(
        default=[10, 30, 100, 300, 1000, 3000], min_length=2, max_length=20
    )
    seeds: int = Field(default=3, ge=1, le=20, description="subspaces of each dimension; their mean counts")
    share: float = Field(default=0.9, gt=0, le=1, description="of the source's quality that has to be reached")
    learning_rate: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default=[3e-2], min_length=1, max_length=5)
    epochs: float = Field(default=3.0, gt=0, le=1000)
    afresh: ClassVar[bool] = True

    def choices(self) -> list[dict[str, Any]]:
        """Every dimension and rate with every seed."""
        return [one | {"repeat": repeat} for one in super().choices() for repeat in range(self.seeds)]


Step = Annotated[CompressStep | SoupStep | MergeStep | PruneStep | DimensionStep, Field(discriminator="step")]
ON_LORA = ("soup", "merge", "prune_retrain")
"""Steps that work on the factors of LoRA."""


def step_models() -> dict[str, type[StepSection]]:
    """The section of every step, by its name."""
    models = (CompressStep, SoupStep, MergeStep, PruneStep, DimensionStep)
    return dict(zip(("compress", "soup", "merge", "prune_retrain", "d90"), models, strict=True))


class Source(BaseModel):
    """A stored adapter: its training configuration and seed, and where it lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Config
    seed: int
    artifact: Artifact | None = None
    folder: str | None = Field(default=None, description="of an adapter that is not in the store")


class RefineAssignment(Assignment):
    """One trial of a refine job. `config` is the result's: of a method, its knobs and hyperparameters.

    `step` names the step, or is `measure` for an adapter that is taken as it is; `options` is one of its choices.
    `sources` are the adapters to work on, best first. Where the step has to choose, it does so by `criterion` on the
    validation rows.
    """

    step: str
    options: dict[str, Any] = Field(default_factory=dict)
    sources: tuple[Source, ...] = Field(min_length=1)
    criterion: str = "loss"
    maximize: bool = False
