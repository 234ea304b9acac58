"""How many members share a pass: what memory holds, and what the device gains from, by a clock that tests set."""

from __future__ import annotations

import math

from workers.engines.stacked.room import Room, Width


class Device:
    """A GPU that needs `launch` seconds for any pass and `token` seconds for each token."""

    def __init__(self, launch: float, token: float) -> None:
        self.launch, self.token, self.now = launch, token, 0.0

    def width(self, members: int, steps: int = 200, tokens: int = 512) -> int:
        """What is found for so many members, each with so many tokens."""
        width = Width(clock=lambda: self.now)
        for _ in range(steps):
            passes = math.ceil(members / width.of(members))
            self.now += passes * self.launch + members * tokens * self.token
            width.timed(members * tokens, lambda: None)
        return width.of(members)


def test_where_launches_dominate_all_members_share_a_pass() -> None:
    assert Device(launch=0.02, token=1e-8).width(32) == 32


def test_a_full_device_gets_the_narrowest_pass_that_fills_it() -> None:
    assert Device(launch=0.0, token=1e-5).width(32) == 1
    found = Device(launch=1e-3, token=1e-5).width(32)  # 4 members: 5 % of the time is launches
    assert found in (2, 4, 8)


def test_one_more_member_than_before_is_measured_anew_and_fewer_are_not() -> None:
    width = Width(clock=lambda: 0.0)
    assert width.of(8) == 8
    assert width.of(5) == 8
    assert width.of(12) == 12


def test_the_device_is_waited_for_at_the_ends_of_a_timing_alone() -> None:
    waits: list[int] = []
    width = Width(settle=(5, 4), clock=lambda: float(len(waits)))
    for step in range(9):
        width.of(4)
        width.timed(100, lambda step=step: waits.append(step))  # type: ignore[misc]
    assert waits == [4, 8]


def test_groups_hold_what_fits_and_never_more_members_than_allowed() -> None:
    needed = dict(enumerate([40.0, 40.0, 40.0, 150.0, 1.0, 1.0, 1.0, 1.0]))
    assert list(Room(bytes=100.0).groups(needed)) == [[0, 1], [2], [3], [4, 5, 6, 7]]
    assert list(Room(bytes=100.0).groups(needed, taken=50.0)) == [[0], [1], [2], [3], [4, 5, 6, 7]]
    assert list(Room(members=3).groups(needed)) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert list(Room().groups(dict.fromkeys(range(6), 0.0))) == [list(range(6))]


def test_who_leaves_or_comes_changes_its_own_group_alone() -> None:
    whole = list(Room().groups(dict.fromkeys(range(8), 0.0), widest=4))
    left = list(Room().groups(dict.fromkeys([7, 6, 5, 4, 3, 1, 0], 0.0), widest=4))
    assert (whole, left) == ([[0, 1, 2, 3], [4, 5, 6, 7]], [[0, 1, 3], [4, 5, 6, 7]])
