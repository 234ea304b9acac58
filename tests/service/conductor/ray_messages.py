"""What a real executor has to say, for tests that wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from service.conductor.training.executor import Lost, Message
from service.conductor.training.ray_executor import RayExecutor
from workers.assignment import Outcome, Report


def receive(executor: RayExecutor, done: Callable[[list[Message]], bool], within: float = 120.0) -> list[Message]:
    """Messages until `done`; fails after `within` seconds."""
    messages: list[Message] = []
    deadline = time.monotonic() + within
    while not done(messages):
        assert time.monotonic() < deadline, messages
        messages += executor.receive(0.2)
    return messages


def ended(messages: list[Message]) -> dict[str, Outcome | Lost]:
    """How trials ended, by id."""
    return {message.trial_id: message for message in messages if not isinstance(message, Report)}
