"""The bench that the steps are tested on."""

from __future__ import annotations

import pytest

from tests.workers.refining.winners import LORA, Winner, trained
from workers.artifacts import ArtifactStore
from workers.running.workbench import Workbench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    home = tmp_path_factory.mktemp("refining")
    return Workbench(home, ArtifactStore(home / "artifacts"))


@pytest.fixture(scope="session")
def lora(bench: Workbench) -> Winner:
    return trained(bench, LORA)
