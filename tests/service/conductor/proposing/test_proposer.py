"""The proposer survives what an optimizer can do to its process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from optimizers.problem import CompletedTrial, History
from service.conductor.proposing.proposer import Proposer, Reply, Request
from tests.patience import PATIENCE_S, wait_until

SPEC: dict[str, Any] = {
    "name": "t",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
    "space": {"preset": "lora"},
    "objectives": [{"metric": "accuracy", "direction": "maximize"}],
    "seed": 1,
}


def request(n: int = 2, optimizer: str = "random", job_id: str = "jx", evidence: History | None = None) -> Request:
    return Request(job_id, SPEC, optimizer, {}, evidence or History(), n, seed=5)


@pytest.fixture
def proposer() -> Iterator[Proposer]:
    started = Proposer()
    yield started
    started.close()


def replies(proposer: Proposer, count: int = 1) -> list[Reply]:
    found: list[Reply] = []

    def all_there() -> bool:
        found.extend(proposer.poll())
        return len(found) >= count

    wait_until(all_there, lambda: f"{count} answers come: {found}", every=0.01)
    return found


def child() -> psutil.Process:
    """The process of the only proposer at work."""
    (found,) = (
        process for process in psutil.Process().children() if "service.conductor.proposing.process" in process.cmdline()
    )
    return found


def test_answers_in_order_and_the_same_question_alike(proposer: Proposer) -> None:
    for _ in range(2):
        proposer.submit(request(n=3))
    first, second = replies(proposer, 2)
    assert first.error is None
    assert len(first.configs) == 3
    assert first.configs == second.configs
    assert all(config["method"] == "lora" for config in first.configs)


def test_an_optimizer_that_raises_is_answered_with_its_error_and_the_process_stays(proposer: Proposer) -> None:
    proposer.submit(request())
    replies(proposer)
    before = child().pid
    proposer.submit(request(optimizer="no-such-optimizer"))
    (reply,) = replies(proposer)
    assert "no-such-optimizer" in str(reply.error)
    assert child().pid == before


@pytest.mark.slow
def test_a_crash_is_reported_once_and_the_next_question_goes_to_a_new_process(proposer: Proposer) -> None:
    proposer.submit(request())
    replies(proposer)
    doomed = child()
    os.kill(doomed.pid, signal.SIGSTOP)
    proposer.submit(request())
    proposer.submit(request(n=1))
    os.kill(doomed.pid, signal.SIGKILL)
    crashed, after = replies(proposer, 2)
    assert crashed.error == "the optimizer's process died (SIGKILL)"
    assert (after.error, len(after.configs)) == (None, 1)


def test_a_process_that_dies_with_nothing_to_do_costs_no_question(proposer: Proposer) -> None:
    proposer.warm()
    idle = child()
    proposer.warm()
    assert child().pid == idle.pid
    idle.kill()
    idle.wait(PATIENCE_S)
    proposer.submit(request(n=1))
    (reply,) = replies(proposer)
    assert (reply.error, len(reply.configs)) == (None, 1)


def test_a_hang_ends_with_the_patience() -> None:
    proposer = Proposer()
    proposer.submit(request())
    replies(proposer)
    proposer._patience = 0.3
    hanging = child()
    os.kill(hanging.pid, signal.SIGSTOP)
    try:
        proposer.submit(request())
        (reply,) = replies(proposer)
        assert reply.error == "the optimizer did not answer within 0.3 s"
        assert not psutil.pid_exists(hanging.pid)
    finally:
        proposer.close()


def test_the_process_yields_to_the_trials(proposer: Proposer) -> None:
    proposer.submit(request())
    replies(proposer)
    assert child().nice() == min(19, os.nice(0) + 10)
    assert child().environ()["OMP_NUM_THREADS"] == "1"


def test_requests_of_a_forgotten_job_are_not_answered(proposer: Proposer) -> None:
    proposer.submit(request(job_id="ja"))
    proposer.submit(request(job_id="jb"))
    proposer.submit(request(job_id="jc"))
    proposer.forget("jb")
    assert [reply.request.job_id for reply in replies(proposer, 2)] == ["ja", "jc"]


def test_evidence_reaches_the_optimizer(proposer: Proposer) -> None:
    proposer.submit(request(n=2))
    (blank,) = replies(proposer)
    known = CompletedTrial("jx-0", blank.configs[0], {"accuracy": 0.5})
    proposer.submit(request(n=2, evidence=History(completed=(known,))))
    (informed,) = replies(proposer)
    assert blank.configs[0] not in informed.configs  # never the same configuration again
