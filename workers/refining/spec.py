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
    `trains` says that the step runs the training loop.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    step: str
    gathers: ClassVar[bool] = False
    trains: ClassVar[bool] = False

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


Step = CompressStep


def step_models() -> dict[str, type[StepSection]]:
    """The section of every step, by its name."""
    return {model.model_fields["step"].annotation.__args__[0]: model for model in (CompressStep,)}  # type: ignore[union-attr]  # a Literal


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
