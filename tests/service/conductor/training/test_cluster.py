"""What is seen of the machines of a cluster, with what Ray and the drivers say made up."""

from __future__ import annotations

from typing import Any

import pytest
from ray.exceptions import RayError

from service.conductor.training import cluster
from service.conductor.training.cluster import Cluster
from service.store.nodes import GpuMemory


class MadeUpRay:
    """Nodes with one GPU each, by id: whether they live. Every question is answered at once."""

    def __init__(self) -> None:
        self.alive: dict[str, bool] = {}

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": id, "Alive": alive, "NodeManagerHostname": f"host-{id}", "Resources": {"GPU": 1.0}}
            for id, alive in self.alive.items()
        ]

    def wait(self, asked: list[str], **_: float) -> tuple[list[str], list[str]]:
        return asked, []

    def get(self, asked: str) -> list[tuple[str, int, int]]:
        if not self.alive.get(asked):
            raise RayError(asked)
        return [("H200", 1, 2)]

    def options(self, scheduling_strategy: Any) -> MadeUpRay:
        self._asked = scheduling_strategy.node_id
        return self

    def remote(self) -> str:
        return str(self._asked)


def test_nodes_that_have_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = MadeUpRay()
    monkeypatch.setattr(cluster, "ray", made_up)
    monkeypatch.setattr(cluster, "gpu_memory", made_up)
    monkeypatch.setattr(cluster, "available_resources_per_node", dict)
    looks, kept = Cluster(), {"a" * 56, "b" * 56}
    made_up.alive = dict.fromkeys(sorted(kept), True)
    assert [node.gpus for node in looks.nodes()] == [(), ()]
    assert [node.gpus for node in looks.nodes()] == [(GpuMemory("H200", 1, 2),)] * 2
    assert looks._asked.keys() == looks._gpus.keys() == kept
    made_up.alive = {"a" * 56: True, "b" * 56: False}
    first, gone = looks.nodes()
    assert (first.alive, len(first.gpus), gone.alive, gone.gpus) == (True, 1, False, ())
    assert looks._asked.keys() == looks._gpus.keys() == {"a" * 56}
    made_up.alive = {}  # Ray itself forgets its dead in the end
    assert looks.nodes() == []
    assert looks._asked == looks._gpus == {}
