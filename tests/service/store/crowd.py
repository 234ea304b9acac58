"""Processes of their own, and what they do to a store in the concurrency tests."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from service.errors import NotFound
from service.store.store import Store, open_store
from tests.patience import PATIENCE_S
from tests.service.store.examples import outcome, report

_processes = multiprocessing.get_context("forkserver")  # imports once, and shares no connection with its children
_processes.set_forkserver_preload([__name__])


class Member(_processes.Process):  # type: ignore[misc,name-defined]  # a class that the context makes
    """A process that calls one of the roles below."""

    def __init__(self, role: Callable[..., Any], *arguments: Any) -> None:
        """Name what it is to do; `start` begins."""
        self._answers, answer = _processes.Pipe(duplex=False)
        super().__init__(target=_play, args=(answer, role, arguments))

    def result(self) -> Any:
        """What the role returned; fails with its error when it raised one or died."""
        answer, error = self._answers.recv() if self._answers.poll(PATIENCE_S) else (None, "no answer")
        self.join()
        assert error is None, error
        return answer


def _play(answer: Connection, role: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer.send((role(*arguments), None))
    except BaseException:
        answer.send((None, traceback.format_exc()))


def start(role: Callable[..., Any], *arguments: Any) -> Member:
    """Start a process in one of the roles below."""
    member = Member(role, *arguments)
    member.start()
    return member


def results(members: Sequence[Member]) -> list[Any]:
    """What each process returned."""
    return [member.result() for member in members]


def work(store: Store, job_id: str, worker: str) -> list[str]:
    """Claim trials until there are none left; report twice and complete each. Returns their ids."""
    done = []
    while (trial := store.claim_trial(job_id, worker, ttl=600)) is not None:
        store.add_reports([report(trial, 1), report(trial, 2)])
        store.finish_trial(outcome(trial, accuracy=trial.number * 37 % 101 / 101, params=trial.number * 53 % 97))
        done.append(trial.id)
    return done


def workers(url: str, job_id: str, name: str, threads: int) -> list[str]:
    """Several workers in one process."""
    store = open_store(url)
    with ThreadPoolExecutor(threads) as pool:
        lists = pool.map(lambda n: work(store, job_id, f"{name}.{n}"), range(threads))
        return [trial_id for done in lists for trial_id in done]


def outlived(url: str, job_id: str, name: str) -> str:
    """Work until the job is deleted; the name of the error that told so."""
    try:
        work(open_store(url), job_id, name)
    except NotFound as error:
        return error.kind
    return "nothing"


def opener(url: str) -> int:
    """Only open the store, as a starting service does."""
    return len(open_store(url).list_jobs().items)


def creator(url: str, key: str) -> str:
    """Create a job under an idempotency key."""
    return open_store(url).create_job("same", {"objectives": []}, key).id


def leaser(url: str, owner: str) -> list[str]:
    """Lease every job that is free."""
    store = open_store(url)
    taken = []
    while (job := store.lease_job(owner, 600)) is not None:
        taken.append(job.id)
    return taken
