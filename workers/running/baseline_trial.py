"""A trial that needs no model: what a task's baseline reaches on the rows that trials are measured on."""

from __future__ import annotations

from workers.assignment import Assignment, Outcome
from workers.running.workbench import Workbench, environment
from workers.tasks.criterion import Baseline

_FREE = (
    "trainable_params",
    "head_params",
    "adapter_bytes",
    "peak_memory_mb",
    "sparsity",
    "layer_bytes",
    "train_seconds",
    "train_tokens",
    "train_tflops",
)


def baseline_outcome(assignment: Assignment, baseline: Baseline, examples: int, workbench: Workbench) -> Outcome:
    """The outcome of a baseline. It costs nothing but the time of its answers, of which 32 take 32 times one's."""
    metrics = dict(baseline.metrics) | dict.fromkeys(_FREE, 0.0)
    if assignment.measure_latency:
        one = 1000 * baseline.seconds
        metrics |= {"latency_ms": one, "latency_batch_ms": 32 * one}
    return Outcome(
        trial_id=assignment.trial_id,
        attempt=assignment.attempt,
        status="completed",
        metrics=metrics,
        engine="reference",
        engine_reason="no model takes part",
        environment=environment("fp32", workbench.device) | {"evaluated_on": assignment.evaluate_on},
        evaluated_rows=examples,
    )
