"""The whole service through its doors: real Ray, real (tiny) training, everything over REST."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from peftsearch.errors import Conflict
from service.serve import _credential, _listen
from service.settings import Settings
from tests.patience import PATIENCE_S, wait_until
from tests.service.serving import Serving, job_when, serving
from tests.service.tiny_task import tiny_job

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that job files may read."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[Serving]:
    """One service for the tests that leave it as they found it."""
    with serving(root / "home", f"--data-root={root}") as started:
        yield started


def run_serve(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.serve", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def _is_trial_worker(process: psutil.Process) -> bool:
    try:
        return "TrialWorker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_workers_are_there_before_the_first_job(service: Serving) -> None:
    wait_until(lambda: any(map(_is_trial_worker, service.family())), "a worker comes up", every=0.2)


def test_a_job_from_submission_to_the_adapter_in_hand(service: Serving, root: Path) -> None:
    from safetensors import safe_open

    with service.client() as client:
        job = client.submit(tiny_job(root, trials=5, optimizer={"name": "auto"}))
        ended = job_when(client, job.id)
        assert (ended.state, ended.reason) == ("completed", None)
        trials = client.trials(job.id)
        assert [trial.state for trial in trials] == ["completed"] * 5
        assert [trial.label for trial in trials[:2]] == ["head-only", "literature-default"]
        assert {trial.metrics["trainable_params"] for trial in trials if trial.label == "head-only"} == {0.0}
        front = client.pareto(job.id)
        assert {trial.id for trial in front.reference} == {trials[0].id, trials[1].id}
        assert {trial.id for trial in front.items} == {trial.id for trial in trials if trial.on_front}
        for trial in trials:
            curve = client.reports(trial.id)
            assert [point.epoch for point in curve] == [1.0, 2.0]
            assert curve[-1].metrics["accuracy"] == trial.metrics["accuracy"]
        best = client.best(job.id, maximize="accuracy", where=["trainable_params<=100000"])
        assert best.trial.metrics["accuracy"] == max(trial.metrics["accuracy"] for trial in trials)
        folder = client.export(best.trial.id, root / "adapter")
        with safe_open(next(folder.glob("*.safetensors")), framework="numpy") as tensors:
            assert list(tensors.keys())
        kinds = [event.kind for event in client.events(job.id)]
        assert kinds.count("trial.completed") == 5
        assert kinds.count("trial.report") == 10


def test_cancelling_a_running_job_ends_its_trials(service: Serving, root: Path) -> None:
    with service.client() as client:
        job = client.submit(tiny_job(root, trials=50, train_rows=2000))
        job_when(client, job.id, lambda now: now.progress.completed >= 1)
        client.cancel(job.id)
        wait_until(lambda: not client.trials(job.id, states=["queued", "running"]), "no trial goes on")
        assert client.job(job.id).state == "cancelled"
        stopped = client.trials(job.id, states=["stopped"])
        assert {trial.reason for trial in stopped} <= {"the job is cancelled"}


def test_an_open_event_stream_ends_when_the_service_stops(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--only=api", f"--data-root={tmp_path}") as service:
        with service.client() as client:
            job = client.submit(tiny_job(tmp_path, trials=2))
        with httpx.stream("GET", f"{service.url}/v1/jobs/{job.id}/events", timeout=PATIENCE_S) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id: ")
            os.killpg(service.process.pid, signal.SIGINT)
            for _ in lines:  # ends cleanly instead of being cut off
                pass
        assert service.process.wait(PATIENCE_S) == 0
        assert "Traceback" not in service.log.read_text()


def test_a_signal_is_heeded_while_hostile_bodies_are_read(tmp_path: Path) -> None:
    """200,000 brackets had held the event loop, and SIGTERM with it."""
    with serving(tmp_path / "home", "--only=api", f"--data-root={tmp_path}") as service, ThreadPoolExecutor(4) as many:

        def send() -> None:
            with suppress(httpx.HTTPError):
                while True:
                    kind = {"Content-Type": "application/yaml"}
                    httpx.post(f"{service.url}/v1/jobs", content=b"[" * 200_000, headers=kind, timeout=PATIENCE_S)

        for _ in range(4):
            many.submit(send)
        # These two limits are what is tested: held up by brackets it had taken minutes.
        assert httpx.get(f"{service.url}/v1/healthz", timeout=60).status_code == 200
        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(60) == 0


@pytest.mark.long
def test_a_service_that_is_stopped_lets_its_trials_go_on_where_they_were(tmp_path: Path) -> None:
    """SIGTERM to the service alone, as container runtimes send it, amid trials with no checkpoint of their own."""
    flags = f"--data-root={tmp_path}"
    job_file = tiny_job(tmp_path, trials=1, train_rows=800, budget={"trials": 1, "epochs": 400})
    with serving(tmp_path / "home", flags) as first, first.client() as client:
        job = client.submit(job_file)
        begun = wait_until(
            lambda: [t for t in client.trials(job.id, states=["running"]) if len(client.reports(t.id)) > 1],
            lambda: f"a trial is under way: {client.job(job.id)}",
            every=0.05,
        )
        family = first.family()
        first.process.terminate()
        assert first.process.wait(PATIENCE_S) == 0
        assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []
    with serving(tmp_path / "home", flags) as second, second.client() as client:
        id = begun[0].id
        after = wait_until(
            lambda: [report for report in client.reports(id) if report.attempt == 2],
            lambda: f"it goes on: {client.trial(id)}",
            every=0.05,
        )
        reached = max(report.step for report in client.reports(id) if report.attempt == 1)
        with suppress(Conflict):  # on a quick machine it is over by now
            client.cancel(job.id)
        handed = [event.payload for event in client.events(job.id) if event.kind == "trial.queued"]
    assert after[0].step > reached > 0
    assert any(told["trial_id"] == id and "asked to leave" in str(told["reason"]) for told in handed)


def test_a_killed_worker_costs_one_attempt(service: Serving, root: Path) -> None:
    with service.client() as client:
        job = client.submit(tiny_job(root, trials=4, train_rows=2000))
        wait_until(
            lambda: any(client.reports(trial.id) for trial in client.trials(job.id, states=["running"])),
            lambda: f"a trial is under way: {client.job(job.id)}",
            every=0.05,
        )
        # All are chosen before the first is killed: a process in reserve may become the next worker in between.
        workers = [process for process in service.family() if _is_trial_worker(process)]
        assert {worker.nice() for worker in workers} == {os.nice(0)}  # before the optimizer, which has a niceness of 10
        for worker in workers:
            worker.kill()
        ended = job_when(client, job.id)
        assert (ended.state, ended.progress.completed) == ("completed", 4)
        trials = client.trials(job.id)
        assert max(trial.attempt for trial in trials) == 2
        lost = [event.payload for event in client.events(job.id) if event.kind == "trial.queued"]
        assert any("its worker died" in str(payload["reason"]) for payload in lost)


def test_a_second_service_on_the_same_home_is_refused(service: Serving) -> None:
    second = run_serve(f"--home={service.log.parent}", "--port=0")
    assert second.returncode == 1
    assert f"process {service.process.pid}, {service.url}" in second.stderr
    assert "--home" in second.stderr


def test_a_taken_port_is_refused_before_anything_starts(service: Serving, tmp_path: Path) -> None:
    port = service.url.rpartition(":")[2]
    second = run_serve(f"--home={tmp_path}", f"--port={port}")
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr


def test_answers_on_a_kept_connection_are_sent_at_once(tmp_path: Path) -> None:
    """No Nagle's algorithm on accepted connections."""
    at_once: list[bool] = []

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted: socket.socket = transport.get_extra_info("socket")
            at_once.append(bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            transport.close()

    async def connect() -> None:
        listener = _listen(Settings.read({"home": tmp_path, "port": 0}, {}))
        server = await asyncio.get_running_loop().create_server(Accepting, sock=listener)
        async with server:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            await reader.read()
            writer.close()

    asyncio.run(connect())
    assert at_once == [True]


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    found = run_serve(f"--home={tmp_path}", "--no-auth", "--host=0.0.0.0")
    assert found.returncode == 2
    assert "no_auth" in found.stderr


def test_the_admin_token_is_private_and_survives(tmp_path: Path) -> None:
    token = ""
    for _ in range(2):
        with serving(tmp_path, "--only=api", environment={"PEFTSEARCH_NO_AUTH": ""}) as service:
            file = tmp_path / "token"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert token in ("", file.read_text())
            assert {"token", "peftsearch.db"} <= {path.name for path in tmp_path.iterdir()}
            assert _open_to_others(tmp_path) <= {service.log}  # which this test's own process has made, as its umask is
            token = file.read_text()
            assert service.stop() == 0


def _open_to_others(home: Path) -> set[Path]:
    return {path for path in home.rglob("*") if path.stat().st_mode & 0o077}


@pytest.mark.parametrize(("terminal", "shown"), [(True, "?token=pfs_x"), (False, "\nthe token is in")])
def test_the_start_line_shows_the_token_on_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert _credential(Settings.read({"home": tmp_path}, {}), "pfs_x").startswith(shown)


def test_the_conductor_is_started_again_when_it_dies_and_dies_with_the_service(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        conductor = _conductor(service)
        os.kill(conductor.pid, signal.SIGKILL)
        successor = wait_until(lambda: _conductor(service, of_another=conductor.pid), "another conductor is started")
        family = service.family()
        service.process.kill()  # the parent only: nobody is left to tell the child
        gone, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
        assert successor in gone
        assert alive == []


def _conductor(service: Serving, of_another: int = -1) -> psutil.Process | None:
    for process in psutil.Process(service.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it may die between the two looks, or just have been killed
            if "service.conductor" in process.cmdline() and process.pid != of_another:
                return process
    return None


SIGNALLED = """
import os, signal, sys, uvicorn
from service import serve
moment, *flags = sys.argv[1:]
usual = getattr(uvicorn.Server, moment)

def signalled(*given, **named):
    os.kill(os.getpid(), signal.SIGTERM)
    return usual(*given, **named)

setattr(uvicorn.Server, moment, signalled)
sys.exit(serve.main(flags))
"""


@pytest.mark.parametrize("moment", ["run", "startup", "main_loop"])
def test_a_signal_that_comes_while_it_starts_ends_it(tmp_path: Path, moment: str) -> None:
    flags = [f"--home={tmp_path / 'home'}", "--port=0", "--only=api", "--no-auth", f"--data-root={tmp_path}"]
    command = [sys.executable, "-c", SIGNALLED, moment, *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
