"""The contract between whoever dispatches a trial and whoever trains it. Plain data; imports neither torch nor ray.

`Assignment` goes to a worker, a stream of `Report`s comes back and one `Outcome` ends it. Each carries the trial's
`attempt`, the fencing number: the store refuses reports and outcomes of an attempt that is no longer current.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workers.bounded import INT32
from workers.searched_settings import SEARCHED, settings_in
from workers.task import AnyTask

Config = dict[str, Any]
Decision = Literal["continue", "pause", "stop"]
EngineName = Literal["fast", "reference"]
Split = Literal["validation", "test"]
PrecisionChoice = Literal["auto", "fp32", "bf16"]
Quantisation = Literal["int8", "nf4"]
Traceparent = Annotated[str | None, Field(description="W3C traceparent: where spans of the attempt belong")]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Artifact(_Frozen):
    """A stored folder or file, addressed by content: `sha256` of its bytes, `size` in bytes."""

    sha256: str
    size: int


class Execution(_Frozen):
    """How a trial is trained: engine, number formats, memory and processes. What it learns does not depend on it.

    A job's `resources` are an `Execution` with what the conductor needs beside it, an `Assignment` is one with what to
    train: `whole` hands it on, so that jobs of all kinds train as their spec says.
    """

    engine: Literal["auto", "fast", "reference"] = "auto"
    precision: PrecisionChoice = Field(
        default="auto",
        description="number format of the products in training; `auto`: what pays on the fast engine, else fp32",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="compute activations again instead of keeping them: less memory, more time"
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="threads that a trial computes with; by default all that its worker has"
    )
    quantise: Quantisation | None = Field(
        default=None, description="keep the frozen base's weights in 8 or 4 bits (needs bitsandbytes)"
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=64,
        description="processes that train each trial together, each holding its part of the frozen base (FSDP), on one "
        "GPU each where `gpus_per_trial` is as large",
    )
    pack: Literal["auto"] | Annotated[int, Field(ge=1, le=32)] = Field(
        default="auto", description="trials that share each pass through the base; `auto`: where that is faster"
    )

    def chosen(self) -> tuple[str, ...]:
        """What of it is not as it would be by itself."""
        return tuple(name for name, one in Execution.model_fields.items() if getattr(self, name) != one.default)

    def whole(self) -> dict[str, Any]:
        """All of it by name, to make another value of: `Assignment(..., **resources.whole())`."""
        return {name: getattr(self, name) for name in Execution.model_fields}


class Assignment(Execution):
    """One trial to train. What its configuration says of the machine takes the place of what the job says."""

    trial_id: str
    attempt: int
    task: AnyTask
    config: Config = Field(description="method, its knobs and the training hyperparameters")
    epochs: float = Field(gt=0, description="passes over the training rows")
    seed: int
    data_seed: int = Field(default=0, description="seed of splits and samples: the job's, equal for all its trials")
    evaluate_on: Split = Field(default="validation", description="`test` for confirmations: rows that no search saw")
    reports_per_epoch: int = Field(default=1, ge=0, description="0: one report, after the last step")
    checkpoint: Artifact | None = Field(default=None, description="where to continue from")
    report_at: tuple[float, ...] = Field(
        default=(), description="epochs: a report at the first step at or beyond each, too, where the scheduler looks"
    )
    awaits_decision: bool = Field(
        default=False, description="stand still after each report but the last until told whether to go on"
    )
    keep_checkpoints: bool = Field(default=False, description="store a checkpoint with every report")
    pause_every: float | None = Field(
        default=None, gt=0, description="epochs: pause with a checkpoint at every multiple of this"
    )
    measure_latency: bool = True
    trace: Traceparent = None
    needed: tuple[str, ...] = Field(
        default=(), description="metrics of the job's own without which the trial has failed: objectives and guards"
    )

    @model_validator(mode="before")
    @classmethod
    def _settings_of_the_trial(cls, given: Any) -> Any:
        config = given.get("config") if isinstance(given, dict) else None
        if not isinstance(config, dict) or not SEARCHED & config.keys():
            return given
        rest = {name: value for name, value in config.items() if name not in SEARCHED}
        return {**given, **settings_in(config), "config": rest}


class Report(_Frozen):
    """What a running trial has reached. `step` counts optimizer steps; `epoch` passes over the training rows."""

    trial_id: str
    attempt: int
    step: int
    epoch: float
    metrics: dict[str, float] = Field(description="metrics on the evaluated split and `train_loss`")
    seconds: float = Field(description="training wall clock so far")
    checkpoint: Artifact | None = None


class Outcome(_Frozen):
    """How an attempt ended. `metrics` holds the last validation metrics and every measured cost, by catalogue name."""

    trial_id: str
    attempt: int
    status: Literal["completed", "stopped", "paused", "failed", "interrupted"] = Field(
        description="`interrupted`: its worker has to leave, and another one goes on from `checkpoint`"
    )
    metrics: dict[str, float] = Field(default_factory=dict)
    adapter: Artifact | None = None
    checkpoint: Artifact | None = None
    engine: EngineName | None = None
    engine_reason: str | None = Field(default=None, description="why the fast engine did not take the trial, if so")
    environment: dict[str, str] = Field(default_factory=dict)
    evaluated_rows: int | None = Field(
        default=None, ge=1, le=INT32, description="rows that the quality metrics were measured on"
    )
    reason: str | None = Field(
        default=None, description="why it failed or stopped: `out_of_memory: …`, `nan_loss: …`, …"
    )
