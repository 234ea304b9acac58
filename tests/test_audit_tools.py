"""`make audit` and `make sbom`: where nobody can be asked the audit says so, and never that all is well."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _program(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def _audit(tmp_path: Path, python: str, npm: str) -> subprocess.CompletedProcess[str]:
    """The audit of a copy of the project, whose programs answer as told."""
    copy = tmp_path / "project"
    programs = copy / ".venv" / "bin"
    programs.mkdir(parents=True)
    (copy / "tools").mkdir()
    (copy / "web").mkdir()
    script = copy / "tools" / "audit-dependencies"
    script.write_text((ROOT / "tools" / "audit-dependencies").read_text())
    _program(programs, "python", python)
    _program(programs, "pip-audit", 'echo "asked: $*"; exit 1')
    _program(programs, "npm", npm)
    command = ["bash", str(script)]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False)


def test_an_audit_that_cannot_ask_says_so_and_fails_nothing(tmp_path: Path) -> None:
    done = _audit(tmp_path, 'echo "no network"', """echo '{"message": "405"}'; exit 1""")
    assert done.returncode == 0, done.stderr
    assert "pip-audit: skipped: no network" in done.stdout
    assert 'npm audit: skipped: the registry gave no audit ({"message": "405"}' in done.stdout


def test_what_is_found_fails_the_audit(tmp_path: Path) -> None:
    found = _audit(tmp_path, "true", """echo '{"vulnerabilities": {"x": {}}}'; exit 1""")
    assert found.returncode == 1
    assert "asked: --requirement constraints.txt" in found.stdout
    assert '"vulnerabilities"' in found.stdout
