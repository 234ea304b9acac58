"""What a worker is given to run a program once. Plain data; imports neither torch nor ray."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workers.assignment import Artifact, Config, Traceparent
from workers.programs.section import ProgramSpec

MEASURED_HERE = ("train_seconds",)
"""Metrics that a program need not report."""


class ProgramAssignment(BaseModel):
    """One trial of a job whose trials are programs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial_id: str
    attempt: int
    task: ProgramSpec
    config: Config = Field(description="the values of the job's own parameters")
    epochs: float = Field(gt=0, description="what the program should reach: units of its own, as it reports them")
    seed: int
    needed: tuple[str, ...] = Field(description="metrics that a completed trial must have reported")
    checkpoint: Artifact | None = Field(default=None, description="where to continue from")
    pause_every: float | None = Field(
        default=None, gt=0, description="epochs: pause with a checkpoint at every multiple of this"
    )
    awaits_decision: bool = Field(
        default=False, description="stand still after each report but the last until told whether to go on"
    )
    trace: Traceparent = None
