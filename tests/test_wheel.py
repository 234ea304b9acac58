"""The wheel is the product: installed elsewhere, started from any folder, it serves, searches, exports and reloads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
JOB = """\
name: from a wheel
task: {model: builtin:minilm, train: builtin:pydocs, max_length: 16, train_rows: 64, validation_rows: 60}
space: {preset: lora, overrides: {batch_size: {value: 8}}}
objectives:
  - {metric: accuracy, direction: maximize}
  - {metric: trainable_params, direction: minimize}
optimizer: {name: random}
budget: {trials: 3, epochs: 1}
reference_trials: false
"""

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git tracks and the built page, in a folder of its own."""
    if not (ROOT / "web" / "dist" / "index.html").is_file():
        pytest.skip("the dashboard is not built")
    tree, target = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith(("tests/", "benchmarks/")) and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    shutil.copytree(ROOT / "web" / "dist", tree / "web" / "dist")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(target), str(tree)]
    subprocess.run([*build, "--disable-pip-version-check"], check=True, cwd=target)
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`peftsearch` of an environment that holds the wheel and sees third-party packages of this one, no checkout."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)]
    subprocess.run([*install, "--disable-pip-version-check"], check=True, cwd=folder, env=environment(folder))
    own = next((folder / "lib").glob("python*/site-packages"))
    # A folder that is named in a .pth file is not searched for .pth files: the editable install in it stays out.
    (own / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "peftsearch"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user stands: with a job file, and with modules that are named as ours."""
    (tmp_path / "job.yaml").write_text(JOB)
    for name in ("workers", "service", "optimizers", "search_spaces", "predictors"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a module of the user was imported')\n")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PEFTSEARCH_"))}
    return {**outside, "PEFTSEARCH_HOME": str(folder / "home"), "COLUMNS": "200"}


def test_the_wheel_holds_the_page_the_examples_and_the_migrations(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    pages = {f"service/static/{page}.html" for page in ("index", "reference")}
    assert {*pages, "peftsearch/examples/quickstart.yaml"} <= names
    in_checkout = {path.name for path in (ROOT / "service" / "store" / "migrations" / "versions").glob("r*.py")}
    assert {f"service/store/migrations/versions/{name}" for name in in_checkout} <= names


@pytest.mark.long
def test_the_demo_runs_from_a_folder_with_modules_of_its_own(command: Path, folder: Path) -> None:
    demo = [str(command), "demo", "--home", "state", "--job", "job.yaml"]
    done = subprocess.run(demo, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reloaded with plain peft" in done.stdout
    assert "NOT THE SAME" not in done.stdout


def test_the_page_is_served_and_a_refusal_needs_no_server(command: Path, folder: Path) -> None:
    serve = [str(command), "serve", "--port", "0", "--only", "api"]
    with subprocess.Popen(serve, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("peftsearch is at ").partition("?")[0].strip()
        try:
            assert '<div id="root">' in httpx.get(address, timeout=PATIENCE_S).text
            assert httpx.get(f"{address}v1/docs", follow_redirects=True, timeout=PATIENCE_S).status_code == 200
            assert "paths" in httpx.get(f"{address}v1/openapi.json", timeout=PATIENCE_S).json()
        finally:
            process.terminate()
    law = [str(command), "predict", "lora-lr", "--help"]
    assert subprocess.run(law, cwd=folder, env=environment(folder), capture_output=True, check=False).returncode == 0
