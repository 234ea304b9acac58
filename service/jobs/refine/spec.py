"""`kind: refine`: from a trial, a front, an adapter folder or configurations to smaller, merged or pruned adapters."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from service.jobs.search.spec import ConstraintSpec, ObjectiveSpec, ResourcesSpec, Section
from workers.assignment import Artifact
from workers.bounded import Location, Name, Seed
from workers.refining.spec import Source, Step
from workers.task import AnyTask

MOST_SOURCES, MOST_TRIALS = 16, 500
PREFIX = "refine."
"""Of what a refined trial's configuration says beside its method's own part."""


class SourceSpec(Section):
    """The adapters to begin with: just one of `job`, `trials`, `folder` and `configs`."""

    job: Name | None = Field(default=None, description="the front of this job")
    trials: list[Name] = Field(default=[], max_length=MOST_SOURCES, description="these trials")
    folder: Location | None = Field(default=None, description="an adapter that `peftsearch export` wrote")
    configs: list[dict[str, Any]] = Field(
        default=[], max_length=MOST_SOURCES, description="configurations that the job trains first"
    )
    epochs: float = Field(default=3, gt=0, le=1000, description="of the trainings of `configs`")

    @model_validator(mode="after")
    def _just_one(self) -> Self:
        given = [name for name in ("job", "trials", "folder", "configs") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"found {' and '.join(given) or 'none'}; allowed: one of job, trials, folder, configs")
        return self


class AdapterSpec(Section):
    """A stored adapter that the job begins with, as the service found it."""

    trial: str | None = None
    config: dict[str, Any]
    seed: Seed
    sha256: str | None = None
    size: Annotated[int, Field(ge=0, lt=2**63)] = 0
    folder: str | None = None

    @property
    def source(self) -> Source:
        """For the worker."""
        stored = None if self.sha256 is None else Artifact(sha256=self.sha256, size=self.size)
        return Source(config=self.config, seed=self.seed, artifact=stored, folder=self.folder)


class RefineSpec(Section):
    """The whole of a refine job."""

    name: str = Field(min_length=1, max_length=200)
    kind: Literal["refine"]
    source: SourceSpec
    task: AnyTask = Field(description="of `job` and `trials`: by default theirs")
    steps: list[Step] = Field(min_length=1, max_length=8, description="one after another")
    branches: int = Field(default=1, ge=1, le=8, description="best results of a step that the next one goes on from")
    objectives: list[ObjectiveSpec] = Field(
        default=[
            ObjectiveSpec(metric="loss", direction="minimize"),
            ObjectiveSpec(metric="adapter_bytes", direction="minimize"),
        ],
        min_length=1,
        max_length=20,
    )
    constraints: list[ConstraintSpec] = Field(default=[], max_length=100)
    resources: ResourcesSpec = ResourcesSpec()
    seed: Seed = 0
    data_seed: Seed | None = Field(
        default=None, description="of splits and samples; of `job` and `trials`: theirs, else `seed`"
    )
    adapters: list[AdapterSpec] = Field(default=[], description="what `source` names; the service fills it in")

    def label(self, stage: int) -> str:
        """What trials of a step are called: its name, with a number where it comes more than once."""
        names = [step.step for step in self.steps]
        return names[stage] if names.count(names[stage]) == 1 else f"{names[stage]} {stage + 1}"

    def trials(self) -> int:
        """How many trials there are at most."""
        begin = len(self.adapters) or len(self.source.configs)
        total = width = begin
        for step in self.steps:
            width = len(step.choices()) * (1 if step.gathers else min(width, self.branches))
            total += width
        return total
