"""A duty is seen to again and again, whatever becomes of one time."""

from __future__ import annotations

import threading

import pytest

from service.background import repeating
from service.errors import Unavailable
from tests.patience import PATIENCE_S


def test_it_goes_on_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    answers = [True, OSError("full"), Unavailable("away"), True]
    done, times = threading.Event(), list[str]()

    def work() -> bool:
        times.append(threading.current_thread().name)
        if not answers:
            done.set()
            return False
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with repeating("duty", work, period=0.01, patience=PATIENCE_S):
        assert done.wait(PATIENCE_S)
    assert set(times) == {"duty"}
    assert [record.getMessage() for record in caplog.records] == [
        "duty: not this time: full",
        "duty: not this time: away",
    ]
    assert "duty" not in {thread.name for thread in threading.enumerate()}
