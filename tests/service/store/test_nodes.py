"""What conductors see of the machines that they train on."""

from __future__ import annotations

from service.store.nodes import AGE, GpuMemory, Node, ResourceUse
from service.store.store import Store
from tests.service.store.examples import ManualClock


def test_the_last_look_of_each_conductor_counts_for_a_while(store: Store, clock: ManualClock) -> None:
    first = Node("a", True, (ResourceUse("CPU", 1.0, 2.0),))
    second = Node("b", True, (), (GpuMemory("H200", 1 << 30, 140 << 30),))
    store.tell_nodes("one", [first])
    store.tell_nodes("one", [first, second])
    store.tell_nodes("two", [second])
    assert [(seen.conductor, seen.node) for seen in store.nodes_seen()] == [
        ("one", first),
        ("one", second),
        ("two", second),
    ]
    store.tell_nodes("two", ())  # it has left
    assert {seen.conductor for seen in store.nodes_seen()} == {"one"}
    clock.advance(AGE + 1)
    assert store.nodes_seen() == ()
