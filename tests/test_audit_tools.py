"""`make audit` and `make sbom`: where nobody can be asked the audit says so, and never that all is well."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _program(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def _project(tmp_path: Path, tool: str, **programs: str) -> list[str]:
    """A copy of the project with this tool alone, whose programs do as told; the command that runs it."""
    copy = tmp_path / "project"
    for folder in (copy / ".venv" / "bin", copy / "tools", copy / "web"):
        folder.mkdir(parents=True)
    script = copy / "tools" / tool
    script.write_text((ROOT / "tools" / tool).read_text())
    for name, body in programs.items():
        _program(copy / ".venv" / "bin", name.replace("_", "-"), body)
    return ["bash", str(script)]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False)


def _audit(tmp_path: Path, python: str, npm: str) -> subprocess.CompletedProcess[str]:
    """The audit, whose programs answer as told."""
    asked = 'echo "asked: $*"; exit 1'
    return _run(_project(tmp_path, "audit-dependencies", python=python, npm=npm, pip_audit=asked))


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


def test_bills_of_materials_are_written_for_both_halves(tmp_path: Path) -> None:
    bill = '{"bomFormat": "CycloneDX", "components": [{"name": "x"}]}'
    written = f"for last; do out=$before; before=$last; done; echo '{bill}' > $out"  # --output-file FILE PYTHON
    python, npm = f'exec {sys.executable} "$@"', f"echo '{bill}'"
    done = _run(_project(tmp_path, "make-sbom", python=python, npm=npm, cyclonedx_py=written))
    assert done.returncode == 0, done.stderr
    for half in ("python", "web"):
        assert json.loads((tmp_path / "project" / "dist" / f"sbom-{half}.json").read_text()) == json.loads(bill)
        assert f"dist/sbom-{half}.json 1 components" in done.stdout


def test_ci_checks_audits_and_tests() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    made = [word for line in lines if line.startswith("make ") for word in line.split()[1:]]
    assert {"check", "audit", "sbom", "test"} <= set(made)
    assert "export CI=true" in lines  # a skipped test is a failure
    targets = (ROOT / "Makefile").read_text()
    assert "tools/audit-dependencies" in targets
    assert "tools/make-sbom" in targets
