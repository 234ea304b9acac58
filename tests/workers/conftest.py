"""What all tests of the workers share."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from tests.workers.judge_server import JudgeServer
from workers.artifacts import ArtifactStore
from workers.running.workbench import Workbench


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are slower on several threads, and sums come out the same on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """What a worker trains with, in a home of the module's own."""
    home = tmp_path_factory.mktemp("home")
    return Workbench(home, ArtifactStore(home / "artifacts"))


@pytest.fixture
def judge_server() -> Iterator[JudgeServer]:
    """A judge on loopback."""
    server = JudgeServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
