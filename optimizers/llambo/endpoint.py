"""The language model's endpoint: prompts in, JSON objects out, within bounded time.

The endpoint is the operator's, not the job's (a job must not make the service call addresses of its choice): any
OpenAI-compatible server, named by `PEFTSEARCH_LLM_URL` (up to `/v1`), `PEFTSEARCH_LLM_MODEL` and, if it wants one,
`PEFTSEARCH_LLM_TOKEN`.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

_LARGEST_ANSWER = 1_000_000  # bytes
# As in the paper's code: below 1, so that answers stay valid; above 0, so that several of them differ.
_TEMPERATURE = 0.8


def missing() -> list[str]:
    """Environment variables that the operator has not set."""
    return [name for name in ("PEFTSEARCH_LLM_URL", "PEFTSEARCH_LLM_MODEL") if not os.environ.get(name)]


def ask(prompts: Sequence[str], deadline: float) -> list[dict[str, Any] | Exception]:
    """The JSON object in the model's answer to each prompt, or what went wrong: an OSError, ValueError or TimeoutError.

    All prompts are sent at once, and nobody is waited for beyond `deadline` (of `time.monotonic`). Threads of their
    own, because neither name resolution nor a server that sends a byte now and then respects the timeouts of a socket.
    """
    answers: queue.SimpleQueue[tuple[int, str | Exception]] = queue.SimpleQueue()
    for number, prompt in enumerate(prompts):
        threading.Thread(target=_converse, args=(number, prompt, deadline, answers), daemon=True).start()
    found: list[dict[str, Any] | Exception] = [TimeoutError("no answer in time") for _ in prompts]
    for _ in prompts:
        try:
            number, answer = answers.get(timeout=max(0.01, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[number] = _object(answer)
    return found


def _object(answer: str | Exception) -> dict[str, Any] | Exception:
    if isinstance(answer, Exception):
        return OSError(f"{type(answer).__name__}: {answer}")
    try:
        text = str(json.loads(answer)["choices"][0]["message"]["content"])
        found = json.loads(text[text.find("{") : text.rfind("}") + 1])
    except (LookupError, TypeError) as error:
        return ValueError(f"not a chat completion: {type(error).__name__} {error}")
    except ValueError as error:
        return error
    return found if isinstance(found, dict) else ValueError("the answer holds no JSON object")


def _converse(
    number: int, prompt: str, deadline: float, answers: queue.SimpleQueue[tuple[int, str | Exception]]
) -> None:
    import httpx

    token = os.environ.get("PEFTSEARCH_LLM_TOKEN")
    body = {
        "model": os.environ["PEFTSEARCH_LLM_MODEL"],
        "messages": [{"role": "user", "content": prompt}],
        "temperature": _TEMPERATURE,
    }
    try:
        received = b""
        with httpx.stream(
            "POST",
            os.environ["PEFTSEARCH_LLM_URL"].rstrip("/") + "/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=max(0.1, deadline - time.monotonic()),
        ) as response:
            response.raise_for_status()
            for piece in response.iter_bytes():
                received += piece
                if len(received) > _LARGEST_ANSWER or time.monotonic() > deadline:
                    raise ValueError("the answer is too long")
        answers.put((number, received.decode()))
    except Exception as error:  # whatever a server or the network can do must not end the job
        answers.put((number, error))
