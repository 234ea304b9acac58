"""Steps that train a stored adapter on."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workers.refining.sections.section import Epochs, HeadChoice, Rates, StepSection, Takes


class GrowStep(StepSection):
    """Growth that keeps the function: a LoRA of several times the rank that begins with the winner's outputs."""

    step: Literal["grow"]
    times: list[Annotated[int, Field(ge=2, le=64)]] = Field(
        default=[2], min_length=1, max_length=8, description="the winner's rank"
    )
    learning_rate: Rates = Field(default=[1e-3])
    epochs: Epochs = 1.0
    takes: ClassVar[Takes] = "lora"


class WarmStartStep(StepSection):
    """PVP: training that begins with the weights of an adapter from elsewhere, on this job's task."""

    step: Literal["warm_start"]
    start: list[Literal["adapter", "afresh"]] = Field(
        default=["adapter"],
        min_length=1,
        max_length=2,
        description="`afresh`: the same training without the adapter's weights, to compare with",
    )
    head: HeadChoice = Field(default="fresh", description="`kept`: the adapter's own, of the same labels")
    learning_rate: Rates = Field(default=[1e-3])
    epochs: Epochs = 3.0
