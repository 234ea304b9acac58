"""How to run a program again as a trial ran it, without a search."""

from __future__ import annotations

import sys
from pathlib import Path
from pprint import pformat

from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from workers.programs.places import BUILTIN, program_file
from workers.programs.section import ProgramSpec
from workers.programs.trial import command_of


def program_snippet(spec: JobSpec, trial: Trial) -> str:
    """Python that starts the trial's program with its configuration and prints what it reports."""
    assert isinstance(spec.task, ProgramSpec)
    told = {"config": trial.config, "epochs": spec.budget.epochs, "seed": trial.seed}
    named = spec.task.program
    file = program_file(named, ()) if named.startswith(BUILTIN) else Path(named)
    command = command_of(spec.task, file, trial.config)
    words = ["sys.executable" if one == sys.executable else repr(one) for one in command]
    reached = ", ".join(f"{name} {value:.4g}" for name, value in trial.metrics.items())
    return f"""import json, os, subprocess, sys

# What `peftsearch.program.trial()` reads; without the search, reports are printed.
os.environ["PEFTSEARCH_ALONE"] = json.dumps(
    {pformat(told, sort_dicts=False)}
)
subprocess.run([{", ".join(words)}], check=True)  # {trial.id}: {reached}
"""
