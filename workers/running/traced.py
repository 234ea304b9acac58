"""A trial's attempt as a span of the trace that its job was submitted in."""

from __future__ import annotations

from workers import tracing
from workers.assignment import Assignment, Outcome
from workers.programs.assignment import ProgramAssignment
from workers.proxies.spec import ProxyAssignment


def begin_trial(assignment: Assignment | ProgramAssignment | ProxyAssignment) -> tracing.Span:
    """It is taken up."""
    told: tracing.Attributes = {"trial_id": assignment.trial_id, "attempt": assignment.attempt}
    return tracing.start("train trial", assignment.trace, told)


def end_trial(span: tracing.Span, outcome: Outcome) -> None:
    """It has an outcome."""
    span.add({"status": outcome.status, "engine": outcome.engine})
    if outcome.status == "failed":
        span.fail(outcome.reason or "failed")
    span.end()
