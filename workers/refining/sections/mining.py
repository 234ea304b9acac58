"""The step that trains a model on what it got wrong."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workers.refining.sections.section import Epochs, Rates, Rows, StepSection
from workers.tasks.catalogue.preference import PairLoss


class OwnFailuresStep(StepSection):
    """iTool: rounds in which a winner answers training rows and learns to prefer the reference to its wrong answers."""

    step: Literal["own_failures"]
    way: list[Literal["pairs", "failed_rows", "all_rows"]] = Field(
        default=["pairs"],
        min_length=1,
        max_length=3,
        description="`failed_rows`, `all_rows`: fine-tuning goes on with these in place of pairs, to compare with",
    )
    rounds: list[Annotated[int, Field(ge=1, le=4)]] = Field(
        default=[1], min_length=1, max_length=4, description="each mines the failures of the model that it begins with"
    )
    rows: Rows = Field(default=256, description="training rows that are answered")
    failed_below: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="score of an answer, by the first of `generation.metrics`, that is a failure",
    )
    loss_type: PairLoss = Field(default="sigmoid", description="of pairs, as in tasks of type `preference`")
    beta: list[Annotated[float, Field(gt=0, le=10)]] = Field(
        default=[0.1],
        min_length=1,
        max_length=10,
        description="of pairs: how dear it is to leave the round's beginning",
    )
    learning_rate: Rates = Field(default=[1e-4])
    epochs: Epochs = Field(default=1.0, description="of each round, over what was mined")
    answers: ClassVar[bool] = True

    def choices(self) -> list[dict[str, Any]]:
        """Every combination; what trains on rows has no β."""
        return [one for one in super().choices() if one["way"] == "pairs" or one["beta"] == self.beta[0]]
