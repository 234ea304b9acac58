"""Steps after which a winner's weights are whole numbers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workers.refining.sections.section import Epochs, Rates, Rows, StepSection, Takes

Group = Annotated[int, Field(ge=1, le=4096)]
Groups = Annotated[list[Group], Field(min_length=1, max_length=10)]
Iterations = Annotated[int, Field(ge=0, le=100_000)]


class PtqStep(StepSection):
    """Quantisation after training: steps are searched by how much the loss cares, then fitted block by block."""

    step: Literal["ptq"]
    bits: list[Literal[8, 6, 4, 3, 2]] = Field(default=[8, 6, 4], min_length=1, max_length=5)
    group: Groups = Field(default=[64], description="inputs that share a step; it divides the sides of all layers")
    candidates: int = Field(default=40, ge=2, le=1000, description="steps that are tried for each group")
    iterations: Iterations = Field(default=50, description="of the fit of each block's steps")
    rows: Rows = Field(default=128, description="training rows that are looked at")
    takes: ClassVar[Takes] = "mergeable"


class BlockApStep(StepSection):
    """EfficientQAT's first phase: the weights and steps of each block are trained to give what the block gave."""

    step: Literal["block_ap"]
    bits: list[Literal[8, 6, 4, 3, 2]] = Field(default=[4], min_length=1, max_length=5)
    group: Groups = Field(default=[64], description="inputs that share a step; it divides the sides of all layers")
    learning_rate: Rates = Field(default=[1e-4], description="of the weights; steps learn at ten times the rate")
    iterations: Iterations = Field(default=100, description="batches of 16 rows for each block")
    rows: Rows = Field(default=256, description="training rows that are looked at")
    takes: ClassVar[Takes] = "mergeable"


class StepSizesStep(StepSection):
    """EfficientQAT's second phase: the whole numbers stay, their steps are trained on the task."""

    step: Literal["e2e_qp"]
    learning_rate: Rates = Field(default=[3e-3])
    epochs: Epochs = 1.0
    takes: ClassVar[Takes] = "e2e_qp"


class QuantisedLoraStep(StepSection):
    """L4Q from a winner: its factors and the steps are trained on through the rounding."""

    step: Literal["l4q"]
    bits: list[Literal[8, 6, 4, 3, 2]] = Field(default=[4], min_length=1, max_length=5)
    group: Groups = Field(default=[64], description="inputs that share a step; it divides the sides of all layers")
    learning_rate: Rates = Field(default=[5e-4])
    epochs: Epochs = 1.0
    takes: ClassVar[Takes] = "lora"
