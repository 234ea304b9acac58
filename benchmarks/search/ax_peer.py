"""Ax in an environment of its own, driven by JSON lines on stdin and stdout; run by `benchmarks.search.peers.AxPeer`.

Imports nothing of ours: `.venv-peers` has Ax and torch only. One process serves one search after another:
`{"start": {"parameters": [...], "objectives": {metric: direction}, "seed": 0}}` begins one, `{"ask": true}` is answered
by a configuration, `{"tell": {metric: value}}` says what it came to.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from typing import Any

import torch
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig


def main() -> None:
    """Answer every line by one line until stdin ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not get between the replies
    client, trial = Client(), -1
    for line in sys.stdin:
        message = json.loads(line)
        answer: Any = None
        if "start" in message:
            client = _client(**message["start"])
        elif "ask" in message:
            ((trial, answer),) = client.get_next_trials(max_trials=1).items()
        elif "failed" in message:
            client.mark_trial_failed(trial)
        else:
            client.complete_trial(trial, raw_data=message["tell"])
        replies.write(json.dumps(answer) + "\n")


def _client(parameters: list[dict[str, Any]], objectives: dict[str, str], seed: int) -> Client:
    """A search with Ax's default strategy."""
    client = Client(random_seed=seed)
    client.configure_experiment(parameters=[_parameter(**each) for each in parameters])
    client.configure_optimization(
        objective=", ".join(f"-{name}" if way == "minimize" else name for name, way in objectives.items())
    )
    client.configure_generation_strategy(method="fast", initialization_random_seed=seed)
    return client


def _parameter(
    name: str,
    kind: str,
    bounds: list[float] | None = None,
    log: bool = False,
    choices: list[str] | None = None,
    opens: dict[str, list[str]] | None = None,
) -> RangeParameterConfig | ChoiceParameterConfig:
    if kind == "choice":
        return ChoiceParameterConfig(
            name=name, values=choices or [], parameter_type="str", is_ordered=False, dependent_parameters=opens
        )
    low, high = bounds or [0.0, 1.0]
    return RangeParameterConfig(
        name=name,
        bounds=(low, high),
        parameter_type="int" if kind == "int" else "float",
        scaling="log" if log else None,
    )


if __name__ == "__main__":
    main()
