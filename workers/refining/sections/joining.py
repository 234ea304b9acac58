"""Steps that make one adapter of several."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workers.refining.sections.section import StepSection, Takes


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
