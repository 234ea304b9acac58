"""`program`: a training script of your own as the trial. It gets the configuration and reports what it measured."""

from __future__ import annotations

from workers.programs.section import ProgramSpec
from workers.tasks.task import TaskType

TASK = TaskType(
    name="program",
    summary="a training script of your own, with any space and metrics of its own",
    section=ProgramSpec,
    metrics=(),
    example={"program": "builtin:spiking"},
    objectives=(("accuracy", "maximize"), ("spikes", "minimize")),
    space={
        "parameters": [
            {"name": "learning_rate", "type": "float", "low": 1e-3, "high": 3e-2, "scale": "log"},
            {"name": "hidden", "type": "int", "low": 16, "high": 128, "scale": "log"},
            {"name": "leak", "type": "float", "low": 0.5, "high": 0.99},
            {"name": "steps", "type": "int", "low": 4, "high": 16},
        ]
    },
)
