"""Idle workers: the last one is taken first, those that wait long give back memory, then cores."""

from __future__ import annotations

from service.conductor.training.idle_workers import END_AFTER, REST_AFTER, IdleWorkers
from service.conductor.training.placement import Shape

ONE, TWO = Shape(1.0, 0.0), Shape(2.0, 0.0)


class Pool:
    """A pool of workers that are only names, under a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self.rested: list[str] = []
        self.dead: set[str] = set()
        self.idle = IdleWorkers(
            self.ended.append, self.rested.append, lambda name: name not in self.dead, lambda: self.now
        )


def test_the_worker_that_worked_last_is_taken_first() -> None:
    pool = Pool()
    for name, shape in (("a", ONE), ("b", TWO), ("c", ONE)):
        pool.idle.put(name, shape)
    assert [pool.idle.take(ONE), pool.idle.take(ONE), pool.idle.take(ONE)] == ["c", "a", None]
    assert list(pool.idle.shapes()) == [TWO]


def test_one_that_died_without_work_is_passed_over() -> None:
    pool = Pool()
    for name in "abc":
        pool.idle.put(name, ONE)
    pool.dead = {"c", "a"}
    assert [pool.idle.take(ONE), pool.idle.take(ONE)] == ["b", None]
    assert list(pool.idle.shapes()) == []


def test_long_idle_workers_rest_once_and_all_but_one_end() -> None:
    pool = Pool()
    pool.idle.put("fresh", ONE, rested=True)
    pool.idle.put("a", ONE)
    pool.now = 10
    pool.idle.put("b", ONE)
    pool.now = REST_AFTER + 1
    pool.idle.tidy()
    pool.idle.tidy()
    assert (pool.rested, pool.ended) == (["a"], [])
    pool.now = END_AFTER + 1
    pool.idle.tidy()
    assert (pool.rested, pool.ended) == (["a", "b"], ["fresh", "a"])
    pool.now = 10 * END_AFTER
    pool.idle.tidy()
    assert list(pool.idle.shapes()) == [ONE]


def test_work_starts_the_clock_again() -> None:
    pool = Pool()
    pool.idle.put("a", ONE)
    pool.now = REST_AFTER - 1
    pool.idle.put(pool.idle.take(ONE), ONE)
    pool.now = REST_AFTER + 1
    pool.idle.tidy()
    assert pool.rested == []


def test_room_is_made_by_ending_the_one_that_waits_longest() -> None:
    pool = Pool()
    pool.idle.put("a", ONE)
    pool.idle.put("b", TWO)
    assert [pool.idle.end_one(), pool.idle.end_one(), pool.idle.end_one()] == [ONE, TWO, None]
    assert pool.ended == ["a", "b"]
