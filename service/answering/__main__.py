"""The process that computes: reads one question per line on stdin, writes progress and one answer per line.

It leaves when its stdin ends, that is when the API has gone, even amid a computation. Its memory is bounded by the
system: what needs more fails there, and only that question with it.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from predictors.answer import OutOfDomain
from service.answering.costly import Desk, named
from service.answering.pool import MEMORY, MEMORY_VARIABLE
from service.api import problem_details
from service.errors import BadInput, ServiceError, TooCostly
from service.settings import Settings
from service.store.engine import Database
from service.store.store import Store, utc_now
from workers.errors import InvalidInput

BETWEEN = 0.1  # seconds between two lines of progress
LOW_PRIORITY = 10  # added to its niceness: whoever asks for little is answered first


def main() -> None:
    """Answer until stdin ends."""
    os.nice(LOW_PRIORITY)
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not get between the replies
    settings = Settings.read()
    store = Store(Database(settings.database), utc_now)
    warm()
    memory = int(os.environ.get(MEMORY_VARIABLE) or MEMORY)
    _bound_memory(memory)
    questions: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, questions), daemon=True).start()
    while True:
        question = questions.get()
        told = _Progress(replies)
        replies.write(json.dumps(_answer(question, Desk(store, settings, told), memory)) + "\n")


def warm() -> None:
    """Import what nearly every answer needs, before one waits for it."""
    import scipy.linalg
    import scipy.optimize
    import scipy.stats  # noqa: F401

    import service.api.routes.insights  # noqa: F401


class _Progress:
    """Writes where the computation is, not more often than anybody reads."""

    def __init__(self, replies: IO[str]) -> None:
        self._replies, self._last = replies, 0.0

    def __call__(self, stage: str) -> None:
        if time.monotonic() - self._last > BETWEEN:
            self._replies.write(json.dumps({"progress": stage}) + "\n")
            self._last = time.monotonic()


def _answer(question: Mapping[str, Any], desk: Desk, memory: int) -> dict[str, Any]:
    """`{"status": …, "content": …}`, the content as it goes to whoever asked."""
    try:
        view = named(question["function"])(desk, **question["arguments"])
        return {"status": 200, "content": view.model_dump_json()}
    except MemoryError:
        error: ServiceError = TooCostly(f"the answer needs more than {memory >> 20} MiB of memory: ask about less")
    except ServiceError as refused:
        error = refused
    except OutOfDomain as refused:
        error = BadInput(refused.field, repr(refused.found), refused.allowed, str(refused))
    except InvalidInput as refused:
        error = BadInput(refused.field, refused.found, refused.allowed, refused.message)
    except Exception as bug:
        if type(bug).__name__ == "LinAlgError":  # of NumPy or SciPy: the numbers leave nothing to solve for
            error = BadInput("rows", "numbers that determine nothing", "rows of moderate size that differ", str(bug))
        else:
            print(f"{question['function']} failed: {type(bug).__name__}: {bug}", file=sys.stderr)
            error = ServiceError("an error of the server's own; its log says more")
    response = problem_details.problem(error)
    return {"status": response.status_code, "content": bytes(response.body).decode()}


def _bound_memory(memory: int) -> None:
    """Linux counts private memory here, mapped or not, but no libraries; elsewhere this may bound less."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _read(source: IO[str], questions: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in source:
        questions.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
