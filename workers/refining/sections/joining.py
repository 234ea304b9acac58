"""Steps that make one adapter of several."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workers.methods.declaration.expert_counts import ExpertCounts
from workers.refining.sections.section import Epochs, HeadChoice, Rates, StepSection, Takes


class SoupStep(StepSection):
    """A model soup of LoRA winners: the mean of their updates, of all or of those that the validation rows want."""

    step: Literal["soup"]
    kind: list[Literal["greedy", "uniform"]] = Field(default=["greedy"], min_length=1, max_length=2)
    gathers: ClassVar[bool] = True
    takes: ClassVar[Takes] = "lora"


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
    takes: ClassVar[Takes] = "lora"

    def choices(self) -> list[dict[str, Any]]:
        """Every combination; plain sums keep all entries, so that a density says nothing of them."""
        whole = super().choices()
        return [one for one in whole if one["rule"] != "task_arithmetic" or one["density"] == self.density[0]]


class ScaLearnStep(StepSection):
    """ScaLearn: scales over winners of this or other tasks are trained, their updates stay as they are."""

    step: Literal["scalearn"]
    variant: list[Literal["shared_uniform", "uniform", "shared_vector", "vector", "average"]] = Field(
        default=["shared_uniform"],
        min_length=1,
        max_length=5,
        description="how scales are shared; `average` trains none of them, to compare with",
    )
    head: HeadChoice = Field(default="kept", description="`kept`: the mean of the winners', of the same labels")
    learning_rate: Rates = Field(default=[1e-2])
    epochs: Epochs = 1.0
    gathers: ClassVar[bool] = True
    takes: ClassVar[Takes] = "lora"


class ComposeStep(StepSection):
    """PSEC: winners as skills, weighed by a gate in every layer that reads what the layer is given."""

    step: Literal["compose"]
    gate: list[Literal["input", "static"]] = Field(
        default=["input"], min_length=1, max_length=2, description="`static` reads nothing, to compare with"
    )
    head: HeadChoice = Field(default="kept", description="`kept`: the mean of the winners', of the same labels")
    learning_rate: Rates = Field(default=[3e-3])
    epochs: Epochs = 1.0
    gathers: ClassVar[bool] = True
    takes: ClassVar[Takes] = "lora"


class StackStep(StepSection):
    """A new LoRA on top of adapters that stay as they are: of a task on that of a language, say."""

    step: Literal["stack"]
    under: list[Literal["adapters", "nothing"]] = Field(
        default=["adapters"], min_length=1, max_length=2, description="`nothing`: the same LoRA alone, to compare with"
    )
    rank: list[Annotated[int, Field(ge=1, le=64)]] = Field(
        default=[8], min_length=1, max_length=8, description="of the new LoRA; its scale is 1"
    )
    head: HeadChoice = Field(default="fresh", description="`kept`: the mean of the adapters', of the same labels")
    learning_rate: Rates = Field(default=[1e-3])
    epochs: Epochs = 3.0
    gathers: ClassVar[bool] = True
    takes: ClassVar[Takes] = "lora"


class ExpertsStep(StepSection):
    """BAM: a mixture of low-rank experts, `mola`, whose experts begin as winners."""

    step: Literal["experts"]
    start: list[Literal["winners", "afresh"]] = Field(
        default=["winners"], min_length=1, max_length=2, description="`afresh`: the same mixture without them"
    )
    experts: list[ExpertCounts] = Field(
        default=["2-2-2-2"], min_length=1, max_length=12, description="in each quarter of the layers, lowest first"
    )
    top_k: Literal[1, 2] = Field(default=2, description="experts of a token")
    head: HeadChoice = Field(default="kept", description="`kept`: the mean of the winners', of the same labels")
    learning_rate: Rates = Field(default=[1e-3])
    epochs: Epochs = 1.0
    gathers: ClassVar[bool] = True
    takes: ClassVar[Takes] = "lora"
