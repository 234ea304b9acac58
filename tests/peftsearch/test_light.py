"""The client and the command line need nothing but what the light install brings."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import requires

PROGRAM = """
import json, sys
import peftsearch, peftsearch.cli
from importlib.metadata import packages_distributions
owners = packages_distributions()
tops = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted({owner for top in tops for owner in owners.get(top, ())})))
"""

HEAVY = {"fastapi", "numpy", "pydantic", "ray", "sqlalchemy", "torch", "transformers", "uvicorn"}


def test_importing_the_door_loads_only_the_light_install() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = {name.lower() for name in json.loads(done.stdout)}
    assert not loaded & HEAVY
    light = {line.partition(">")[0].lower() for line in requires("peftsearch") or () if "extra ==" not in line}
    assert light == {"httpx", "httpx-sse", "pyyaml", "rich", "typer"}
    assert light <= loaded
