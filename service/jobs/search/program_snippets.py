"""How to run a program again as a trial ran it, without a search."""

from __future__ import annotations

import json
from pathlib import Path

from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from workers.programs.trial import command_of
from workers.tasks.catalogue.program import ProgramSpec


def program_snippet(spec: JobSpec, trial: Trial) -> str:
    """Python that starts the trial's program with its configuration and prints what it reports."""
    assert isinstance(spec.task, ProgramSpec)
    told = {"config": trial.config, "epochs": spec.budget.epochs, "seed": trial.seed}
    _, *arguments = command_of(spec.task, Path(spec.task.program), trial.config)
    reached = ", ".join(f"{name} {value:.4g}" for name, value in trial.metrics.items())
    return f"""import json, os, subprocess, sys

# What `peftsearch.program.trial()` reads; without the search, reports are printed.
os.environ["PEFTSEARCH_ALONE"] = json.dumps({json.dumps(told, indent=4)})
subprocess.run([sys.executable, {", ".join(map(repr, arguments))}], check=True)  # {trial.id}: {reached}
"""
