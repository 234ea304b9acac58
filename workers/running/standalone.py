"""Trains assignments that arrive on stdin, one JSON object per line: the process behind `peftsearch worker`.

In: `{"assignment": …}`, then `{"decision": "continue" | "pause" | "stop"}` after each report.
Out: `{"report": …}` any number of times, then one `{"outcome": …}`. Ends when stdin does. Whoever starts it says by
`PEFTSEARCH_PROGRAMS` and `PEFTSEARCH_JUDGES` whose code and which addresses judge answers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from workers import tracing
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Decision, Report
from workers.running.traced import begin_trial, end_trial
from workers.running.trial_pack import train_by_itself
from workers.running.workbench import Workbench


def main() -> None:
    """Train until stdin ends."""
    arguments = argparse.ArgumentParser(description="train assignments from stdin")
    arguments.add_argument("--artifacts", required=True, help="folder or fsspec URL of adapters and checkpoints")
    arguments.add_argument("--home", type=Path, required=True, help="folder for caches")
    given = arguments.parse_args()
    tracing.begin("worker")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    programs = tuple(one for one in os.environ.get("PEFTSEARCH_PROGRAMS", "").split(os.pathsep) if one)
    judges = os.environ.get("PEFTSEARCH_JUDGES") or "off"
    workbench = Workbench(given.home, ArtifactStore(given.artifacts), programs=programs, judges=judges)
    serve(sys.stdin, answers, workbench)


def serve(source: IO[str], target: IO[str], workbench: Workbench) -> None:
    """Train every assignment of `source`, writing reports and outcomes to `target`."""
    messages: Iterator[dict[str, Any]] = (json.loads(line) for line in source)
    span = tracing.Span()

    def on_report(report: Report) -> Decision:
        span.tell("report", {"step": report.step, "epoch": report.epoch})
        _write(target, "report", report.model_dump(mode="json"))
        decision: Decision = next(messages)["decision"]
        return decision

    for message in messages:
        assignment = Assignment.model_validate(message["assignment"])
        span = begin_trial(assignment)
        outcome = train_by_itself(assignment, workbench, on_report)
        end_trial(span, outcome)
        _write(target, "outcome", outcome.model_dump(mode="json"))


def _write(target: IO[str], kind: str, value: dict[str, Any]) -> None:
    target.write(json.dumps({kind: value}) + "\n")
    target.flush()


if __name__ == "__main__":
    main()
