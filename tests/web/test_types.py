"""The dashboard's types are those of the answers that the service gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "web" / "node_modules" / "json-schema-to-typescript"


@pytest.mark.skipif(not MODULES.is_dir(), reason="the dashboard's packages are not installed: `make setup`")
def test_the_types_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "openapi-types"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
