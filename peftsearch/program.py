"""The side of a program that a search runs as its trial: what to train, and how to say what came out.

from peftsearch import program

trial = program.trial()
for epoch in range(trial.start, int(trial.epochs)):
    ...  # train with trial.config["learning_rate"]
    if trial.report({"accuracy": accuracy}, epoch=epoch + 1, checkpoint="state") != "continue":
        break

`python -m peftsearch.program FILE FUNCTION` calls a function with the trial. Standard library only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal, cast

VARIABLE, ALONE = "PEFTSEARCH_TRIAL", "PEFTSEARCH_ALONE"
Decision = Literal["continue", "pause", "stop"]


class NoTrial(RuntimeError):
    """This process is not a trial."""

    def __init__(self) -> None:
        super().__init__(
            f"{VARIABLE} is not set, so no search started this program; to try it out by itself, set {ALONE} to JSON "
            'such as {"config": {"learning_rate": 0.001}, "epochs": 3, "seed": 0}'
        )


@dataclass
class Trial:
    """What a search asks of this run.

    Attributes:
        id: of the trial, as the service knows it.
        attempt: 1 for the first, more where a worker was lost or the trial was paused.
        config: the values of the job's parameters; those that are not active are absent.
        epochs: what to reach, in the unit of `report`'s `epoch`.
        seed: for everything that is drawn.
        output: folder whose files are kept with a trial that completes or is stopped.
        checkpoint: what an earlier report of this trial (or, in population-based training, of another) gave as
            `checkpoint`; None to begin afresh.
        epoch: where that checkpoint was taken, and 0 without one; afterwards that of the last report.
    """

    id: str
    attempt: int
    config: Mapping[str, Any]
    epochs: float
    seed: int
    output: Path
    checkpoint: Path | None = None
    epoch: float = 0.0
    folder: Path | None = field(default=None, repr=False)  # where the pipes lie; None for a run alone

    @property
    def start(self) -> int:
        """Whole epochs that are done."""
        return int(self.epoch)

    def report(
        self,
        metrics: Mapping[str, float],
        epoch: float | None = None,
        step: int | None = None,
        checkpoint: str | Path | None = None,
    ) -> Decision:
        """Say what the trial has reached, and hear whether to go on.

        Args:
            metrics: finite numbers by name, the job's objectives among them in the last report at least.
            epoch: grows from report to report, `epochs` being the end; one more than the last where it is not given.
            step: any count that grows; that of the reports where it is not given.
            checkpoint: folder from which the trial could go on; its files are read before this returns.

        Returns:
            `continue`; or `pause` or `stop`: leave soon, the search will not hear any more and ends what stays.
        """
        self.epoch = self.epoch + 1 if epoch is None else float(epoch)
        told: dict[str, Any] = {"metrics": {name: float(value) for name, value in metrics.items()}, "epoch": self.epoch}
        told |= {} if step is None else {"step": int(step)}
        told |= {} if checkpoint is None else {"checkpoint": str(Path(checkpoint).absolute())}
        if self.folder is None:
            print(json.dumps(told))
            return "continue"
        reports, decisions = self._pipes
        reports.write(json.dumps(told | {"answer": True}) + "\n")
        return cast(Decision, decisions.readline().strip() or "stop")

    @cached_property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.folder is not None
        reports = (self.folder / "reports").open("w", buffering=1, encoding="utf-8")
        return reports, (self.folder / "decisions").open(encoding="utf-8")


def trial() -> Trial:
    """The trial that this process is. Raises NoTrial where no search started it.

    Without a search, `PEFTSEARCH_ALONE` says what to train; reports are printed, and nothing stops the program.
    """
    if VARIABLE not in os.environ and ALONE in os.environ:
        given = json.loads(os.environ[ALONE])
        return Trial("alone", 1, given["config"], given.get("epochs", 1), given.get("seed", 0), Path.cwd())
    if VARIABLE not in os.environ:
        raise NoTrial
    file = Path(os.environ[VARIABLE])
    told = json.loads(file.read_text(encoding="utf-8"))
    told["output"] = Path(told["output"])
    told["checkpoint"] = None if told["checkpoint"] is None else Path(told["checkpoint"])
    return Trial(**told, folder=file.parent)


def main() -> None:
    """Call a function of a file with the trial; metrics that it returns are its last report."""
    file, name = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(file.parent))
    sys.argv[:] = [str(file), *sys.argv[3:]]
    spec = importlib.util.spec_from_file_location("__program__", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["__program__"] = module  # classes of it can be found again, as by pickle
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        sys.exit(f"{file.name} has no function {name!r}")
    given = trial()
    found = function(given)
    if found is not None:
        given.report(found, epoch=given.epochs)


if __name__ == "__main__":
    main()
