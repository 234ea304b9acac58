"""The steps of a refine job and what a worker is given for one of them. Imports neither torch nor ray."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field

from workers.assignment import Artifact, Assignment, Config
from workers.refining.sections.continuing import GrowStep, WarmStartStep
from workers.refining.sections.dimension import DimensionStep
from workers.refining.sections.joining import ComposeStep, ExpertsStep, MergeStep, ScaLearnStep, SoupStep, StackStep
from workers.refining.sections.mining import OwnFailuresStep
from workers.refining.sections.quantising import BlockApStep, PtqStep, QuantisedLoraStep, StepSizesStep
from workers.refining.sections.section import StepSection
from workers.refining.sections.shrinking import CompressStep, DseeStep, PelaStep, PruneExpertsStep, PruneStep

Step = Annotated[
    CompressStep
    | SoupStep
    | MergeStep
    | PruneStep
    | ScaLearnStep
    | ComposeStep
    | StackStep
    | ExpertsStep
    | PruneExpertsStep
    | PelaStep
    | DseeStep
    | GrowStep
    | WarmStartStep
    | OwnFailuresStep
    | PtqStep
    | BlockApStep
    | StepSizesStep
    | QuantisedLoraStep
    | DimensionStep,
    Field(discriminator="step"),
]


def step_models() -> dict[str, type[StepSection]]:
    """The section of every step, by its name."""
    models: tuple[type[StepSection], ...] = get_args(get_args(Step)[0])
    return {get_args(model.model_fields["step"].annotation)[0]: model for model in models}


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
