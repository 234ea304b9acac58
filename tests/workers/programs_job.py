"""What tests of programs share: a folder that programs are allowed in, and a run of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.artifacts import ArtifactStore
from workers.assignment import Decision, Outcome, Report
from workers.programs.assignment import ProgramAssignment
from workers.programs.section import ProgramSpec
from workers.programs.trial import ProgramBench, run_program

COUNTING = """
import json
from peftsearch import program

def train(trial):
    count = json.loads((trial.checkpoint / "count.json").read_text()) if trial.checkpoint else 0
    for epoch in range(trial.start, int(trial.epochs)):
        count += trial.config["step"]
        (trial.output / "state").mkdir(exist_ok=True)
        (trial.output / "state" / "count.json").write_text(json.dumps(count))
        if trial.report({"count": count}, epoch=epoch + 1, checkpoint=trial.output / "state") != "continue":
            print("leaving at", epoch + 1)
            return
    (trial.output / "result.txt").write_text(str(count))
"""
"""A function that adds `step` to a count in each epoch, and can go on from a checkpoint."""


@dataclass
class Programs:
    """Programs in a folder, run as a worker runs them."""

    folder: Path
    artifacts: ArtifactStore
    reports: list[Report] = field(default_factory=list)

    def write(self, text: str, name: str = "train.py") -> str:
        """A program of this text; its path."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def run(
        self, program: str, on_report: Callable[[Report], Decision] = lambda _: "continue", **changes: Any
    ) -> Outcome:
        """Run a program; further arguments are the task's or the assignment's."""
        task = {name: changes.pop(name) for name in ("function", "arguments", "timeout") if name in changes}
        given = {"trial_id": "trial", "attempt": 1, "config": {"step": 2}, "epochs": 3, "seed": 5, "needed": ()}
        assignment = ProgramAssignment(task=ProgramSpec(program=program, **task), **(given | changes))

        def heard(report: Report) -> Decision:
            self.reports.append(report)
            return on_report(report)

        return run_program(assignment, ProgramBench(self.artifacts, (str(self.folder),)), heard)

    def kept(self, outcome: Outcome, to: Path) -> dict[str, str]:
        """Files that a trial left, by path."""
        assert outcome.adapter is not None
        self.artifacts.extract(outcome.adapter.sha256, to)
        return {str(file.relative_to(to)): file.read_text() for file in to.rglob("*") if file.is_file()}
