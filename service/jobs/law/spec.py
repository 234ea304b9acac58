"""`kind: law`: a small designed grid of short trainings, and the law of learning rate and batch size that they obey."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field

from service.jobs.mixture.spec import LossObjective
from service.jobs.search.spec import ResourcesSpec, Section
from workers.bounded import INT32, Count, Name, Seed
from workers.task import AnyTask

LEAST_SIZES, LEAST_SETTINGS, MOST_TRAININGS = 4, 6, 2000

Rate = Annotated[float, Field(gt=0, lt=1e3)]


RowCount = Annotated[int, Field(ge=2, le=INT32)]


class DesignSpec(Section):
    """The grid: every size with every setting. Sizes are `train_rows` × `epochs` × each combination of `knobs`."""

    learning_rate: list[Rate] = Field(default=[1e-4, 3e-4, 1e-3, 3e-3, 1e-2], min_length=3, max_length=30)
    batch_size: list[Count] = Field(default=[8, 16, 32], min_length=3, max_length=20)
    train_rows: list[RowCount] = Field(min_length=2, max_length=20, description="data sizes")
    epochs: list[Annotated[float, Field(gt=0, le=1000)]] = Field(default=[1.0], min_length=1, max_length=20)
    knobs: dict[str, list[Any]] = Field(
        default={"rank": [2, 8, 32]}, description="knobs of the method that change its trained parameters"
    )
    seeds: int = Field(default=1, ge=1, le=10, description="trainings of each point; their losses are averaged")

    def sizes(self) -> list[dict[str, Any]]:
        """Every size: `train_rows`, `epochs` and the knobs."""
        names = ("train_rows", "epochs", *self.knobs)
        return [
            dict(zip(names, values, strict=True))
            for values in product(self.train_rows, self.epochs, *self.knobs.values())
        ]

    def settings(self) -> list[dict[str, Any]]:
        """Every learning rate with every batch size."""
        return [
            {"learning_rate": rate, "batch_size": batch} for rate, batch in product(self.learning_rate, self.batch_size)
        ]

    @property
    def trainings(self) -> int:
        """How many trainings the grid asks for."""
        return len(self.sizes()) * len(self.settings()) * self.seeds


class LawSpec(Section):
    """The whole of a law job."""

    name: str = Field(min_length=1, max_length=200, description="the law is stored under this name, a version a job")
    kind: Literal["law"]
    task: AnyTask
    method: Name = Field(default="lora", description="the PEFT method to train")
    fixed: dict[str, Any] = Field(default={}, description="knobs and hyperparameters that every training shares")
    design: DesignSpec
    objectives: list[LossObjective] = Field(default=[LossObjective()], min_length=1, max_length=1)
    resources: ResourcesSpec = ResourcesSpec()
    seed: Seed = 0
