"""Python code that puts a refined adapter on its base: what a user does with one."""

from __future__ import annotations

from service.jobs.refine.spec import RefineSpec
from service.store.records import Trial
from workers.methods.adapter_names import TASK_FILE
from workers.methods.snippets import base_snippet
from workers.tasks.registry import task_of

_LABELS = f'dict(enumerate(json.loads(Path(folder, "{TASK_FILE}").read_text())["labels"]))'


def refined_snippet(spec: RefineSpec, trial: Trial) -> str:
    """Code that loads the trial's adapter, once `peftsearch export` has written it."""
    return f"""import json
from pathlib import Path

import peftsearch
folder = "adapter"  # peftsearch export {trial.id} adapter
{base_snippet(spec.task.model, _LABELS, task_of(spec.task).head)}
model = peftsearch.load_adapter(base, folder)
"""
