"""The API process stays small: it imports neither torch nor ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE_S

PROGRAM = """
import json, sys
from service.jobs.admission import admit
from service.api.app import create_app
from service.settings import Settings
from service.store.store import open_store
from workers.artifacts import ArtifactStore
settings = Settings.read({"home": sys.argv[1], "no_auth": True}, {})
create_app(settings, open_store(settings.database), ArtifactStore(settings.artifacts))
admit({
    "name": "weight",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs", "train_rows": 100, "validation_rows": 20},
    "space": {"preset": "lora"},
    "objectives": [{"metric": "accuracy", "direction": "maximize"}],
}, settings)
heavy = [name for name in ("torch", "ray", "transformers", "peft", "botorch") if name in sys.modules]
print(json.dumps(heavy))
"""


def test_building_the_app_and_admitting_a_job_imports_nothing_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert json.loads(done.stdout.splitlines()[-1]) == []
