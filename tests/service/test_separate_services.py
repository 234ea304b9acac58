"""The services of docker-compose.yml, each by its own command, without containers: PostgreSQL, Ray, API, conductor."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from peftsearch import Client
from peftsearch.results import Job
from service.processes.home import home_identity
from service.store.store import open_store
from tests.patience import PATIENCE_S, wait_until
from tests.service.serving import answers, free_port, job_when, serving
from tests.service.store.conftest import empty_postgres, postgres_server  # noqa: F401 - fixtures
from tests.service.tiny_task import tiny_job

RAY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
RAY_PROGRAM = str(Path(sys.executable).with_name("ray"))
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.postgres]


@contextmanager
def running(*command: str, log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service that runs until the end of the block."""
    with log.open("wb") as output:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def ray_head(log: Path, cores: str = "--num-cpus=2", **variables: str) -> Iterator[str]:
    """A Ray cluster of one machine; its address."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ps-ray-", ignore_cleanup_errors=True) as scratch:
        flags = (cores, "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={scratch}")
        with running(RAY_PROGRAM, "start", "--head", "--block", f"--port={port}", *flags, log=log, **variables):
            wait_until(lambda: "Ray runtime started" in log.read_text(), lambda: f"Ray starts: {log.read_text()}")
            yield f"127.0.0.1:{port}"


@pytest.mark.long
def test_api_and_conductor_share_postgresql_and_a_ray_cluster(
    tmp_path: Path,
    empty_postgres: str,  # noqa: F811 - the fixture
) -> None:
    home = tmp_path / "state"
    shared = {"PEFTSEARCH_DATABASE": empty_postgres, "PEFTSEARCH_HOME": str(home)}
    with (
        serving(home, "--only=api", f"--data-root={tmp_path}", environment=shared) as api,
        ray_head(tmp_path / "ray.log", **RAY) as address,
        api.client() as client,
    ):
        job = client.submit(tiny_job(tmp_path, trials=4))
        conduct = (sys.executable, "-m", "service.serve", "--only=conductor", f"--ray={address}")
        with running(*conduct, log=tmp_path / "conductor.log", **shared, **RAY) as conductor:

            def over(now: Job) -> bool:
                assert conductor.poll() is None, (tmp_path / "conductor.log").read_text()
                return now.over

            now = job_when(client, job.id, over)
            assert (now.state, now.progress.completed) == ("completed", 4)
            best = client.best(job.id)
            assert client.export(best.trial.id, tmp_path / "adapter").joinpath("README.md").is_file()
            environment = {**os.environ, **shared}
            second = subprocess.run(conduct, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
            assert second.returncode == 1
            assert "already works on" in second.stderr
            conductor.send_signal(signal.SIGTERM)
            assert conductor.wait(PATIENCE_S) == 0
        assert client.health(ready=True)["status"] == "ready"  # the API does without


TAKEN_OVER_WITHIN = 10.0  # seconds, as docs/operations.md promises


@pytest.mark.long
def test_two_of_each_share_a_job_and_one_conductor_goes_on_for_the_other(
    tmp_path: Path,
    empty_postgres: str,  # noqa: F811 - the fixture
) -> None:
    """The whole of docker-compose.yml with `--scale conductor=2`: a Ray head without cores and a node that has them,
    two APIs and two conductors, each with a home of its own, on one database and one folder of artifacts."""
    shared = {"PEFTSEARCH_DATABASE": empty_postgres, "PEFTSEARCH_ARTIFACTS": str(tmp_path / "artifacts"), **RAY}
    only, root = ("--only=api",), f"--data-root={tmp_path}"
    store = open_store(empty_postgres)
    with (
        ray_head(tmp_path / "ray.log", "--num-cpus=0", **RAY) as address,
        running(RAY_PROGRAM, "start", "--block", f"--address={address}", "--num-cpus=2", "--disable-usage-stats",
                log=tmp_path / "node.log", **RAY),
        serving(tmp_path / "api-1", *only, root, environment=shared) as first,
        serving(tmp_path / "api-2", *only, root, environment=shared) as second,
        first.client() as here, second.client() as there,
    ):  # fmt: skip
        with ExitStack() as stack:
            conductors = {}
            for name in ("conductor-1", "conductor-2"):
                home = tmp_path / name
                conduct = (sys.executable, "-m", "service.serve", "--only=conductor", f"--ray={address}")
                log = tmp_path / f"{name}.log"
                process = stack.enter_context(running(*conduct, log=log, PEFTSEARCH_HOME=str(home), **shared))
                wait_until(lambda log=log: "ready" in log.read_text(), "a conductor starts")
                conductors[home_identity(home)] = process
            job = here.submit(tiny_job(tmp_path, trials=6, train_rows=400))
            job_when(there, job.id, lambda now: now.progress.completed >= 1)
            holder = str(store.get_job(job.id).lease_owner)
            conductors.pop(holder.partition(".")[0]).kill()
            killed, (other,) = time.monotonic(), conductors
            wait_until(lambda: str(store.get_job(job.id).lease_owner).startswith(other), "the other one takes over")
            taken_over = time.monotonic() - killed
            job_when(there, job.id)
        ended = here.job(job.id)
        assert (ended.state, ended.progress.completed) == ("completed", 6)
        completions = [
            e.payload["trial_id"] for e in store.events_after(0, job.id, 5000) if e.kind == "trial.completed"
        ]
        assert len(completions) == len(set(completions)) == 6
        assert there.export(there.best(job.id).trial.id, tmp_path / "adapter").joinpath("README.md").is_file()
    print(f"taken over after {taken_over:.1f} s")
    assert taken_over < TAKEN_OVER_WITHIN
    store.close()


def test_an_api_of_several_processes_answers_as_one(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    given = {"PEFTSEARCH_HOME": str(home), "PEFTSEARCH_DATA_ROOTS": str(tmp_path)}
    flags = ("--factory", "service.api.asgi:app", "--workers=2", f"--port={port}", "--log-level=warning")
    with running(sys.executable, "-m", "uvicorn", *flags, log=tmp_path / "api.log", **given) as api:
        wait_until(lambda: (home / "token").exists(), "the token is there")
        token = (home / "token").read_text().strip()
        with Client(f"http://127.0.0.1:{port}", token) as client:
            wait_until(lambda: answers(client), "it answers")
            assert len(client.tokens()) == 1  # the processes agreed on one
            job = client.submit(tiny_job(tmp_path, trials=2))
            for _ in range(20):
                with Client(f"http://127.0.0.1:{port}", token) as another:
                    assert another.job(job.id).state == "queued"
            assert len(psutil.Process(api.pid).children()) >= 2


def test_a_signal_between_the_start_and_the_first_answer_ends_the_service(tmp_path: Path) -> None:
    """It had been swallowed until uvicorn listened to signals."""
    script = """
import os, signal, sys
import service.serve as serve
begun = serve._Server.run
def run(self, sockets):
    os.kill(os.getpid(), signal.SIGTERM)
    begun(self, sockets)
serve._Server.run = run
sys.exit(serve.main(["--only=api", "--port=0", f"--home={sys.argv[1]}"]))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


def test_a_ray_client_address_is_refused_with_what_would_do(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "service.serve",
        "--only=conductor",
        "--ray=ray://head:10001",
        f"--home={tmp_path}",
    ]
    found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert found.returncode == 1
    assert "ray start --address=HOST:6379 --num-cpus=0" in found.stderr
