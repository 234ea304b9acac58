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
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.serving import free_port, serving
from tests.service.store.conftest import empty_postgres, postgres_server  # noqa: F401 - fixtures
from tests.service.tiny_task import tiny_job

RAY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
pytestmark = [pytest.mark.slow, pytest.mark.postgres]


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
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def ray_head(log: Path, **variables: str) -> Iterator[str]:
    """A Ray cluster of one machine; its address."""
    port = free_port()
    ray = str(Path(sys.executable).with_name("ray"))
    with tempfile.TemporaryDirectory(prefix="ps-ray-", ignore_cleanup_errors=True) as scratch:
        flags = ("--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={scratch}")
        with running(ray, "start", "--head", "--block", f"--port={port}", *flags, log=log, **variables):
            deadline = time.monotonic() + 60
            while "Ray runtime started" not in log.read_text():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield f"127.0.0.1:{port}"


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
            deadline = time.monotonic() + 120
            while not (now := client.job(job.id)).over:
                assert conductor.poll() is None, (tmp_path / "conductor.log").read_text()
                assert time.monotonic() < deadline, f"{now}\n{(tmp_path / 'conductor.log').read_text()}"
                time.sleep(0.2)
            assert (now.state, now.progress.completed) == ("completed", 4)
            best = client.best(job.id)
            assert client.export(best.trial.id, tmp_path / "adapter").joinpath("README.md").is_file()
            second = subprocess.run(conduct, env={**os.environ, **shared}, capture_output=True, text=True, timeout=60)
            assert second.returncode == 1
            assert "already works on" in second.stderr
            conductor.send_signal(signal.SIGTERM)
            assert conductor.wait(30) == 0
        assert client.health(ready=True)["status"] == "ready"  # the API does without


def test_a_ray_client_address_is_refused_with_what_would_do(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "service.serve",
        "--only=conductor",
        "--ray=ray://head:10001",
        f"--home={tmp_path}",
    ]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 1
    assert "ray start --address=HOST:6379 --num-cpus=0" in found.stderr
