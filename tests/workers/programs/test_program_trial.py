"""A program as a trial: what it gets, what it reports, and that nothing of it is left whatever ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.patience import PATIENCE_S, wait_until
from tests.workers.programs_job import COUNTING, Programs
from workers.artifacts import ArtifactStore
from workers.assignment import Decision, Report
from workers.errors import InvalidInput
from workers.programs.places import builtin_programs, program_file

SHELL = "#!/bin/sh\n"
LEAVES_CHILDREN = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path({note!r}).write_text(str(child.pid))
time.sleep({seconds})
"""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path / "programs", ArtifactStore(tmp_path / "artifacts"))


def executable(programs: Programs, text: str, name: str = "train") -> str:
    path = programs.write(SHELL + text, name)
    Path(path).chmod(0o700)
    return path


def ended(pid: int) -> bool:
    """Whether a process is gone, waiting for the kernel to take it away."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        psutil.Process(pid).wait(timeout=PATIENCE_S)
    return not psutil.pid_exists(pid)


def test_a_function_reports_and_leaves_its_files(programs: Programs, tmp_path: Path) -> None:
    outcome = programs.run(programs.write(COUNTING), function="train", needed=("count",))
    assert (outcome.status, outcome.reason) == ("completed", None)
    assert outcome.metrics["count"] == 6
    assert [(one.epoch, one.step, one.metrics) for one in programs.reports] == [
        (epoch, epoch, {"count": 2.0 * epoch}) for epoch in (1, 2, 3)
    ]
    kept = programs.kept(outcome, tmp_path / "kept")
    assert kept["result.txt"] == "6"
    assert json.loads(kept["trial.json"])["metrics"] == {"count": 6}


def test_a_program_without_our_client_reports_by_lines_of_json(programs: Programs, tmp_path: Path) -> None:
    text = """echo "$1 $2"; echo '{"metrics": {"score": 0.5}, "epoch": 3}' > reports\n"""
    arguments = ("--rank={rank}", "--step={step}", "--both={rank}-{step}")
    outcome = programs.run(executable(programs, text), arguments=arguments, needed=("score",))
    assert (outcome.status, outcome.metrics["score"]) == ("completed", 0.5)
    assert programs.kept(outcome, tmp_path / "kept")["log.txt"] == "--step=2 \n"  # what is not active is left out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo broken; exit 3", "crash: the program ended with exit status 3\nbroken"),
        ("kill -9 $$", "crash: the program ended with SIGKILL"),
        ("true", "bad_report: the program ended without having reported score"),
        ("echo word > reports; sleep 600", "bad_report: found 'word'"),
        ("""echo '{"metrics": {"score": NaN}}' > reports; sleep 600""", "nan_loss: the program reported score as nan"),
        ("""echo '{"metrics": {"score": "1"}}' > reports; sleep 600""", "bad_report: score: found '1'"),
        ("""echo '{"metrics": {"a b": 1}}' > reports; sleep 600""", "bad_report: metrics: found the name 'a b'"),
        ("""echo '{"metrics": {}}' > reports; sleep 600""", "bad_report: metrics: found {}"),
        ("""echo '{"metrics": {"score": 1}, "epoch": 4}' > reports; sleep 600""", "bad_report: epoch: found 4"),
        (
            """echo '{"metrics": {"score": 1}, "checkpoint": "x"}' > reports; sleep 600""",
            "bad_report: checkpoint: found 'x'",
        ),
    ],
)
def test_what_goes_wrong_is_said_and_ends_the_trial(programs: Programs, text: str, reason: str) -> None:
    outcome = programs.run(executable(programs, text), needed=("score",))
    assert outcome.status == "failed"
    assert outcome.reason is not None
    assert outcome.reason.startswith(reason)


def test_a_paused_trial_goes_on_from_its_checkpoint(programs: Programs) -> None:
    path = programs.write(COUNTING)
    first = programs.run(path, function="train", pause_every=2)
    assert (first.status, first.adapter) == ("paused", None)
    assert [one.epoch for one in programs.reports] == [1, 2]
    programs.reports.clear()
    second = programs.run(path, function="train", pause_every=2, checkpoint=first.checkpoint, attempt=2)
    assert (second.status, second.metrics["count"]) == ("completed", 6)
    assert [(one.epoch, one.step) for one in programs.reports] == [(3, 3)]
    assert second.metrics["train_seconds"] > first.metrics["train_seconds"]


def test_a_scheduler_that_pauses_needs_checkpoints(programs: Programs) -> None:
    text = """echo '{"metrics": {"score": 1}, "epoch": 1}' > reports; sleep 600"""
    outcome = programs.run(executable(programs, text), pause_every=1)
    assert (outcome.reason or "").startswith("bad_report: checkpoint: none given")


def test_a_stopped_program_hears_it_and_leaves_by_itself(programs: Programs, tmp_path: Path) -> None:
    def decide(report: Report) -> Decision:
        return "stop" if report.epoch >= 2 else "continue"

    outcome = programs.run(programs.write(COUNTING), decide, function="train", needed=("count",))
    assert (outcome.status, outcome.metrics["count"]) == ("stopped", 4)
    assert programs.kept(outcome, tmp_path / "kept")["log.txt"] == "leaving at 2\n"


def test_a_stopped_program_that_does_not_listen_is_ended(programs: Programs) -> None:
    text = """echo '{"metrics": {"score": 1}, "epoch": 1}' > reports; exec sleep 600"""
    outcome = programs.run(executable(programs, text), lambda _: "stop")
    assert (outcome.status, outcome.metrics["score"]) == ("stopped", 1)


@pytest.mark.parametrize(("seconds", "timeout", "status"), [(0, 600.0, "completed"), (600, 2.0, "failed")])
def test_nothing_that_a_program_started_is_left(
    programs: Programs, tmp_path: Path, seconds: int, timeout: float, status: str
) -> None:
    path = programs.write(LEAVES_CHILDREN.format(note=str(tmp_path / "child"), seconds=seconds))
    outcome = programs.run(path, timeout=timeout)
    assert outcome.status == status
    note = tmp_path / "child"
    started = note.read_text() if note.exists() else ""
    assert started or status == "failed"  # a slow machine may be too late to start it
    assert not started or ended(int(started))


def test_a_program_ends_with_its_worker(tmp_path: Path) -> None:
    programs = Programs(tmp_path / "programs", ArtifactStore(tmp_path / "artifacts"))
    path = programs.write(LEAVES_CHILDREN.format(note=str(tmp_path / "child"), seconds=600))
    code = "import sys; from pathlib import Path; from tests.workers.programs_job import Programs; "
    code += "from workers.artifacts import ArtifactStore; "
    code += f"Programs(Path({str(programs.folder)!r}), ArtifactStore({str(tmp_path / 'artifacts')!r})).run({path!r})"
    root = Path(__file__).resolve().parents[3]
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=root)

    def noted() -> str:
        assert worker.poll() is None
        return (tmp_path / "child").read_text() if (tmp_path / "child").exists() else ""

    child = wait_until(noted, "the program has started a child", every=0.05)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert ended(int(child))


def test_a_program_sees_no_secrets_of_the_service(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEFTSEARCH_DATABASE", "postgresql://user:secret@host/db")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    text = """env; echo '{"metrics": {"score": 1}}' > reports\n"""
    log = programs.kept(programs.run(executable(programs, text)), tmp_path / "kept")["log.txt"]
    assert "PEFTSEARCH_TRIAL=" in log
    assert "secret" not in log


def test_programs_lie_where_the_operator_allows(programs: Programs, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("")
    programs.write("")
    (programs.folder / "link.py").symlink_to(outside)
    for path in (str(outside), str(programs.folder / "link.py"), str(programs.folder / ".." / "outside.py")):
        assert (programs.run(path).reason or "").startswith("invalid_config: program")
    with pytest.raises(InvalidInput, match="no `programs` folder"):
        program_file(str(outside), ())
    with pytest.raises(InvalidInput, match="builtin:spiking"):
        program_file("builtin:../keeper", ())
    assert program_file("builtin:spiking", ()).is_file()
    assert builtin_programs() == ("blackvip", "kind", "spiking")


@pytest.mark.slow
def test_the_spiking_network_learns(programs: Programs) -> None:
    config = {"learning_rate": 0.01, "hidden": 32, "leak": 0.9, "steps": 4}
    outcome = programs.run("builtin:spiking", config=config, epochs=2, needed=("accuracy", "spikes"))
    assert outcome.status == "completed", outcome.reason
    assert outcome.metrics["accuracy"] > 0.3  # of ten digits
    assert outcome.metrics["spikes"] > 0
