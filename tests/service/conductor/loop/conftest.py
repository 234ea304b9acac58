"""The conductor on a real store, with a real proposer; trials are computed instead of trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.store.store import Store, open_store
from tests.service.conductor.computing_executor import ComputingExecutor
from tests.service.conductor.loop.conducting import Clock, Make


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/jobs.db", clock.now)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def proposer() -> Iterator[Proposer]:
    started = Proposer()
    yield started
    started.close()


@pytest.fixture
def make(store: Store, clock: Clock, proposer: Proposer) -> Make:
    def conductor(executor: ComputingExecutor | None = None, owner: str = "home.a") -> Conductor:
        return Conductor(
            store, executor or ComputingExecutor(), proposer, owner, clock=clock.now, monotonic=clock.monotonic
        )

    return conductor
