"""The GPU benchmark runs whole on a CPU with small models, goes on where it was, and invents nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import search
from benchmarks.gpu.cases import CASES
from benchmarks.gpu.page import PAGE, RECORD, filled
from benchmarks.gpu.record import AIMS, Record, summary
from tests.patience import PATIENCE_S

# A bare GPU machine has none of these, and nothing of ours needs them here; Optuna is the script's, where it is there.
_ABSENT = ("ray", "fastapi", "sqlalchemy", "botorch")
_RUN = f"""
import sys
from benchmarks.gpu.__main__ import main
main(["--device", "cpu", "--tiny", "--out", sys.argv[1]])
loaded = sys.modules.keys() & set({_ABSENT!r})
assert not loaded, loaded
"""


def _run(path: Path) -> str:
    found = subprocess.run([sys.executable, "-c", _RUN, str(path)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


@pytest.mark.long
def test_the_whole_script_runs_without_a_gpu_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    _run(path)
    record = json.loads(path.read_text())
    lines = {(line["case"], line["what"], line["members"]): line for line in record["lines"]}
    for case in CASES:
        assert {what for name, what, _ in lines if name == case.name} >= {"trainer", "alone", "frozen", "pack"}
        assert lines[case.name, "pack", 2]["loss_difference"] < 1e-4
        assert lines[case.name, "trainer", 1]["ms"] > 0
    assert [line["what"] for line in record["lines"] if "failed" in line] == ["trainer, captured"] * len(CASES)
    script = [line for line in record["lines"] if line["what"] == "search, trial of the script"]
    search = lines["bert-base 8x64", "search", 3]
    assert search["trials"] == len(script) == 3
    assert search["over_script"] == pytest.approx(sum(line["seconds"] for line in script) / search["seconds"], rel=0.02)
    # Cut off within the search: the script's last trial and ours are missing.
    removed = [record["lines"].pop() for _ in range(2)][::-1]
    path.write_text(json.dumps(record))
    again = [json.loads(line) for line in _run(path).splitlines() if line.startswith('{"')]
    assert [(line["what"], line["members"]) for line in again] == [(one["what"], one["members"]) for one in removed]


def test_a_search_in_packs_counts_the_making_of_its_model_as_the_script_does(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    own, real = CASES[0], search.inputs
    monkeypatch.setattr(search.time, "perf_counter", lambda: float(len(order.append("clock") or order)))
    monkeypatch.setattr(type(own), "resident", lambda *_: order.append("model"))
    monkeypatch.setattr(search, "inputs", lambda *given: order.append("rows") or real(*given))
    monkeypatch.setattr(search, "drawn", lambda _size: [])
    search.in_packs(own, torch.device("cpu"), False, search.SIZES["tiny"])
    assert order == ["clock", "model", "rows", "clock"]


def test_lines_of_another_gpu_or_commit_are_left_behind(tmp_path: Path) -> None:
    first = Record(tmp_path / "gpu.json", {"gpu": "a"}, lambda _: None)
    first.measure("case", "pack", 8, lambda: {"ms": 1.0})
    assert Record(tmp_path / "gpu.json", {"gpu": "a"}).lines == first.lines
    assert Record(tmp_path / "gpu.json", {"gpu": "b"}).lines == []


def test_what_fails_is_a_line_that_says_why(tmp_path: Path) -> None:
    def run() -> dict[str, float]:
        raise RuntimeError("CUDA out of memory")

    line = Record(tmp_path / "gpu.json", {}, lambda _: None).measure("case", "pack", 32, run)
    assert line["failed"] == "RuntimeError: CUDA out of memory"


def test_an_aim_without_a_measurement_says_why() -> None:
    nowhere = summary([], {"gpu": "none"})
    assert {(one["measured"], one["reason"]) for one in nowhere["aims"].values()} == {(None, "no GPU was at hand")}
    lines = [
        {"case": "bert-base 8x64", "what": "pack", "members": 8, "over_trainer": 51.0},
        {"case": "bert-base 8x64", "what": "pack", "members": 32, "failed": "RuntimeError: CUDA out of memory"},
    ]
    found = summary(lines, {"gpu": "H200", "commit": "abc", "form": "quick"})
    assert (found["gpu"], found["commit"]) == ("H200", "abc")
    assert found["aims"]["bert-base 8x64, 8 members over Trainer"] == {"measured": 51.0, "aim": 50.0}
    assert found["aims"]["bert-base 8x64, 32 members over Trainer"]["reason"] == "RuntimeError: CUDA out of memory"
    assert found["aims"]["decoder-1.2b 2x512, 32 members over Trainer"]["reason"] == "not in this run (quick)"
    assert {case for case, *_ in AIMS.values()} <= {case.name for case in CASES}


def test_the_page_says_what_the_record_holds() -> None:
    page = PAGE.read_text()
    assert "<!-- gpu -->" in page
    assert filled(page, json.loads(RECORD.read_text())) == page
