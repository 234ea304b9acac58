"""Starting Ray on this machine, where that is slow."""

from __future__ import annotations

from typing import Any

import pytest
from ray._private import services

from service.conductor.training import local_ray


def node_after(looks: int) -> Any:
    """A stand-in for Ray's look for its node: there at the look after so many, as on a machine that is busy."""
    left = iter(range(looks))

    def look(gcs_address: str, node_id: str) -> dict[str, str]:
        for _ in left:
            raise RuntimeError(f"no node {node_id} at {gcs_address}")
        return {"node_id": node_id}

    return look


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_ray, "_AGAIN", 0.0)


def test_a_node_that_is_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    late = node_after(looks=5)
    monkeypatch.setattr(services, "get_node", late)
    with local_ray._patiently():
        assert services.get_node("here:1", node_id="n1") == {"node_id": "n1"}
    assert services.get_node is late


def test_a_node_that_never_comes_is_an_error_of_rays_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "get_node", node_after(looks=1_000_000))
    with local_ray._patiently(within=0.01), pytest.raises(RuntimeError, match="no node n1"):
        services.get_node("here:1", "n1")


def test_ray_looks_for_its_node_where_this_one_waits() -> None:
    """It calls the function by its module; were it bound by name elsewhere, nothing would wait."""
    import inspect

    from ray._private import node

    assert "ray._private.services.get_node(" in inspect.getsource(node)
