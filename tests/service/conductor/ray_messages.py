"""What a real executor has to say, for tests that wait for it."""

from __future__ import annotations

from collections.abc import Callable

from service.conductor.training.executor import Lost, Message
from service.conductor.training.ray_executor import RayExecutor
from tests.patience import wait_until
from workers.assignment import Outcome, Report


def receive(executor: RayExecutor, done: Callable[[list[Message]], bool]) -> list[Message]:
    """Messages until `done`."""
    messages: list[Message] = []

    def receive_more() -> None:
        messages.extend(executor.receive(0.2))

    wait_until(lambda: done(messages), lambda: f"its messages come, beside {messages}", 0, receive_more)
    return messages


def ended(messages: list[Message]) -> dict[str, Outcome | Lost]:
    """How trials ended, by id."""
    return {message.trial_id: message for message in messages if not isinstance(message, Report)}
