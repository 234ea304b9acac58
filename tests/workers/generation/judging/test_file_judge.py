"""A metric in a file of the operator's: run in a process of its own, from allowed folders alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workers.errors import InvalidInput
from workers.generation.judging.file_judge import ask_file
from workers.generation.judging.places import check_function
from workers.generation.judging.rows import JudgedRow, JudgeFailed
from workers.generation.judging.section import FileJudge

ROWS = [JudgedRow(0, "say a", "a", "a"), JudgedRow(1, "say b", "c", "b")]
SOUND = """
import beside
def score(rows):
    print("noise that is no score")
    return [beside.same(row["completion"], row["reference"]) for row in rows]
"""


def judge(folder: Path, source: str, **options: object) -> FileJudge:
    (folder / "own.py").write_text(source)
    return FileJudge.model_validate({"type": "file", "name": "same", "file": str(folder / "own.py"), **options})


def test_its_function_scores_rows_and_sees_nothing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside.py").write_text(
        "import os\ndef same(a, b):\n    assert 'PEFTSEARCH_TOKEN' not in os.environ\n    return a == b\n"
    )
    monkeypatch.setenv("PEFTSEARCH_TOKEN", "secret")
    assert ask_file(judge(tmp_path, SOUND), ROWS, [str(tmp_path)]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def score(rows):\n    raise ValueError('no such word')", r"status 1(.|\n)*no such word"),
        ("def score(rows):\n    return [1.0]", "found 1 scores"),
        ("def score(rows):\n    return [7.0 for _ in rows]", "the score 7.0"),
        ("import os\ndef score(rows):\n    os._exit(0)", "ended without scores"),
        ("import os, signal\ndef score(rows):\n    os.kill(os.getpid(), signal.SIGKILL)", "status -9"),
    ],
)
def test_a_file_that_fails_costs_the_metric_and_says_why(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(JudgeFailed, match=said):
        ask_file(judge(tmp_path, source), ROWS, [str(tmp_path)])


@pytest.mark.slow
def test_one_that_does_not_end_is_ended(tmp_path: Path) -> None:
    endless = judge(tmp_path, "import time\ndef score(rows):\n    time.sleep(10000)", timeout=3)
    with pytest.raises(JudgeFailed, match="not over after 3 s"):
        ask_file(endless, ROWS, [str(tmp_path)])


def test_files_elsewhere_are_never_run(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    allowed.mkdir()
    other.mkdir()
    outside = judge(other, SOUND)
    os.symlink(other / "own.py", allowed / "own.py")
    linked = outside.model_copy(update={"file": str(allowed / "own.py")})
    for one, folders, said in ((outside, [str(allowed)], "a file in"), (linked, [str(allowed)], "a file in")):
        with pytest.raises(JudgeFailed, match=said):
            ask_file(one, ROWS, folders)
    with pytest.raises(JudgeFailed, match="runs no code of jobs"):
        ask_file(outside, ROWS, [])


def test_a_function_that_the_file_has_not_is_noticed_without_running_it(tmp_path: Path) -> None:
    one = judge(tmp_path, "raise SystemExit\nfrom math import sqrt as root\nscore = root", function="rate")
    with pytest.raises(InvalidInput, match=r"function.*'rate'.*root, score"):
        check_function(one, tmp_path / "own.py")
    check_function(one.model_copy(update={"function": "score"}), tmp_path / "own.py")
    with pytest.raises(InvalidInput, match="Python that can be read"):
        check_function(judge(tmp_path, "def"), tmp_path / "own.py")
