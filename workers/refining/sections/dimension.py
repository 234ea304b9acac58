"""The step that measures an intrinsic dimension."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workers.refining.sections.section import Epochs, Rate, StepSection


class DimensionStep(StepSection):
    """Intrinsic dimension: trainings in random subspaces, and the smallest one that reaches a share of the source."""

    step: Literal["d90"]
    dimensions: list[Annotated[int, Field(ge=10, le=10_000)]] = Field(
        default=[10, 30, 100, 300, 1000, 3000], min_length=2, max_length=20
    )
    projection: list[Literal["sparse", "fastfood"]] = Field(default=["sparse"], min_length=1, max_length=2)
    layer_scales: list[bool] = Field(
        default=[True], min_length=1, max_length=2, description="a trained scale for each layer (structure-aware)"
    )
    seeds: int = Field(default=3, ge=1, le=20, description="subspaces of each dimension; their mean counts")
    share: float = Field(default=0.9, gt=0, le=1, description="of the source's quality that has to be reached")
    learning_rate: list[Rate] = Field(default=[3e-2], min_length=1, max_length=5)
    epochs: Epochs = 3.0
    afresh: ClassVar[bool] = True

    def choices(self) -> list[dict[str, Any]]:
        """Every dimension and rate with every seed."""
        return [one | {"repeat": repeat} for one in super().choices() for repeat in range(self.seeds)]
