"""The register of published systems keeps its word: job files that are admitted, tests that exist, a current page."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.systems.__main__ import done, shown
from benchmarks.systems.page import PAGE, page
from benchmarks.systems.register import FOLDER, REGISTER, System, systems
from peftsearch.cli import jobfile
from service.jobs.admission import look
from service.settings import Settings

ROOT = FOLDER.parents[1]
ROWS = {row.number: row for row in systems()}


def test_all_of_them_are_there() -> None:
    assert sorted(ROWS) == list(range(1, 95))
    files = {path.name for path in FOLDER.glob("*.yaml")} - {REGISTER.name}
    assert files == {row.job for row in ROWS.values() if row.job}


@pytest.mark.parametrize("number", [number for number, row in ROWS.items() if row.job])
def test_its_job_is_admitted(request: pytest.FixtureRequest, number: int) -> None:
    spec = jobfile.read(FOLDER / str(ROWS[number].job))
    fetched = {"builtin:smollm2": "smollm2_folder", "builtin:whisper-base-2s": "whisper_folder"}
    if (fixture := fetched.get(spec.get("task", {}).get("model"))) is not None:
        request.getfixturevalue(fixture)
    found = look(spec, Settings.read({"data_roots": [str(ROOT)]}, {}))
    assert [str(problem) for problem in found.problems] == []


@cache
def defined_in(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("number", [number for number, row in ROWS.items() if row.tests])
def test_its_tests_exist(number: int) -> None:
    for test in ROWS[number].tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), test
        assert name in defined_in(ROOT / file), test


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(tuple(ROWS.values())), "python -m benchmarks.systems --page"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tests": ()}, "a door, a check and its tests"),
        ({"job": None}, "a door, a check and its tests"),
        ({"state": "partly", "missing": ""}, "says what is missing"),
        ({"state": "missing"}, "has no door"),
    ],
)
def test_a_row_that_claims_more_than_it_shows_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        System.model_validate(ROWS[7].model_dump() | change)


def test_a_run_goes_on_with_what_has_not_completed_and_with_files_that_have_changed(tmp_path: Path) -> None:
    results, files = tmp_path / "results.jsonl", {number: f"content of {number}" for number in (7, 8, 9)}
    assert done(results, files) == {}
    ended = {7: "failed", 8: "completed", 9: "completed"}
    line = {"system": "Bone", "said": "accuracy 0.5", "seconds": 3.0}
    lines = [line | {"number": number, "state": state, "file": files[number]} for number, state in ended.items()]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert set(done(results, files)) == {8, 9}
    assert set(done(results, files | {9: "another one"})) == {8}
    assert "completed" in shown(done(results, files)[8])
