"""Scores of written answers: exact match, ROUGE-L, pass@k and the process that programs run in."""

from __future__ import annotations

import itertools
import math
import re
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from workers.errors import InvalidInput
from workers.generation.scores import sandbox
from workers.generation.scores.exact_match import exact_match
from workers.generation.scores.pass_at_k import estimate, passed, program
from workers.generation.scores.rouge_l import rouge_l, words
from workers.generation.scores.sandbox import Limits, passes

GSM8K = re.compile(r"####\s*(-?[\d.,]+)")


@pytest.mark.parametrize(
    ("answer", "reference", "pattern", "score"),
    [
        ("Paris", " Paris ", None, 1.0),
        ("paris", "Paris", None, 0.0),
        ("3 + 4 = 7\n#### 7", "so seven\n#### 7", GSM8K, 1.0),
        ("#### 8\nno: #### 1,200.0", "#### 1200", GSM8K, 1.0),
        ("#### 7.", "#### 7", GSM8K, 1.0),
        ("seven", "#### 7", GSM8K, 0.0),
        ("#### 7", "7", GSM8K, 1.0),
        ("it is 12", "12", re.compile(r"\d+"), 1.0),
        ("0.50", "0.5", None, 1.0),
    ],
)
def test_exact_match(answer: str, reference: str, pattern: re.Pattern[str] | None, score: float) -> None:
    assert exact_match(answer, reference, pattern) == score


def test_rouge_l_by_hand() -> None:
    # the example of Lin (2004): LCS 3 of 4 words, and 2 of 4
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(0.5)
    assert rouge_l("a b", "a b c d") == pytest.approx(2 * 2 / 6)
    assert (rouge_l("", ""), rouge_l("", "a")) == (1.0, 0.0)
    assert words("Größe_2, 東京 x1") == ["größe", "2", "東", "京", "x1"]


def test_pass_at_k_is_unbiased() -> None:
    for samples, good, k in ((5, 2, 1), (5, 2, 3), (6, 0, 2), (4, 4, 4), (5, 3, 3)):
        draws = list(itertools.combinations([True] * good + [False] * (samples - good), k))
        assert estimate(samples, good, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    assert math.isclose(estimate(1000, 1, 100), 0.1)
    with pytest.raises(ValueError, match="1 to the number of samples, 2"):
        estimate(2, 1, 3)


def test_programs_are_found_in_answers() -> None:
    assert program("Sure:\n```python\ndef f():\n    return 1\n```\nand\n```\nx\n```") == "def f():\n    return 1\n"
    assert program("def f(): pass") == "def f(): pass"
    assert program("```py\nhalf = 1") == "half = 1"


def test_programs_pass_by_reaching_the_end() -> None:
    answers = [
        "def add(a, b):\n    return a + b",
        "```python\ndef add(a, b):\n    return a - b\n```",
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "def add(a, b) return",
    ]
    assert passed(answers, ["assert add(2, 3) == 5"] * len(answers)) == [True, False, False, False, False]


@pytest.mark.parametrize(
    "source",
    [
        "import socket; socket.socket()",
        "import _socket; _socket.socket()",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import ctypes; ctypes.CDLL(None)",
        "import os, signal; os.kill(os.getppid(), signal.SIGTERM)",
        "assert bytearray(2 << 30)",
        "open('big', 'wb').write(bytes(1 << 25))",
    ],
)
def test_programs_are_kept_in(source: str) -> None:
    assert not passes(source, Limits())


def test_the_kernel_refuses_sockets_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the audit hook, too: a filter that lets a socket through would be found here."""
    runner = tmp_path / "sandboxed.py"
    text = Path(sandbox.__file__).with_name("sandboxed.py").read_text()
    runner.write_text(text.replace("    sys.addaudithook(hook)\n", ""))
    monkeypatch.setattr(sandbox, "_RUNNER", runner)
    assert passes("import os; open('here', 'w').write('x')", Limits())
    attempt = (
        "import socket\ntry:\n    socket.socket()\nexcept PermissionError:\n    pass\nelse:\n    raise SystemExit(1)"
    )
    assert passes(attempt, Limits())


def test_files_of_others_stay_as_they_are(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    for source in (f"open({str(kept)!r}, 'w')", f"import os; os.remove({str(kept)!r})"):
        assert not passes(source, Limits())
    assert not passes(f"import shutil; shutil.rmtree({str(tmp_path)!r})", Limits())
    assert kept.read_text() == "mine"
    assert passes("import tempfile\nwith tempfile.TemporaryDirectory(dir='.'): pass", Limits())
    assert passes("open('own', 'w').write('x'); assert open('own').read() == 'x'", Limits())
    assert passes("import os; assert not dict(os.environ).keys() - {'LC_CTYPE'}, os.environ", Limits())


def test_endless_programs_end() -> None:
    started = time.monotonic()
    assert not passes("while True: pass", Limits(seconds=0.5))
    assert not passes(f"import time; time.sleep({2 * PATIENCE_S})", Limits(seconds=0.5))
    assert time.monotonic() - started < PATIENCE_S


def test_where_there_is_no_sandbox_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.platform, "system", lambda: "Windows")
    with pytest.raises(InvalidInput, match=r"pass_at_k on Windows.*Linux on aarch64 or x86_64"):
        passes("", Limits())
