"""The proposer's process: reads one request per line on stdin, writes one reply per line, keeps nothing between them.

JSON rather than pickled objects: a problem holds closures, so this side rebuilds it from the JobSpec.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import IO, Any

import numpy as np

from optimizers.problem import Problem
from optimizers.registry import optimizer
from service.conductor.proposing.replay import from_json
from service.jobs.kinds import designed_spec
from service.jobs.plan import Measured
from service.jobs.plan_registry import plan_of
from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from workers import tracing

LOW_PRIORITY = 10  # added to the process's niceness, so that a fit never starves the trials' cores


def main() -> None:
    """Answer requests until stdin ends, that is until the conductor has gone: then leave, even amid a fit."""
    os.nice(LOW_PRIORITY)
    tracing.begin("proposer")
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not get between the replies
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    while True:
        replies.write(json.dumps(answer(requests.get())) + "\n")


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Propose as asked: `{"configs": [...], "notes": [...]}`, or conclude from `trials`: `{"conclusion": {...}}`;
    `{"error": "..."}` when that raised."""
    asked = {"job_id": request["job_id"], "optimizer": request.get("optimizer"), "n": request.get("n")}
    try:
        with tracing.span("conclude" if "trials" in request else "propose", request["trace"] or "", asked):
            return {"conclusion": _conclude(request)} if "trials" in request else _propose(request)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _propose(request: Mapping[str, Any]) -> dict[str, Any]:
    problem = _problem(json.dumps(request["spec"], sort_keys=True))
    chosen = optimizer(request["optimizer"], seed=request["spec"]["seed"], **request["options"])
    rng = np.random.default_rng(request["seed"])
    proposal = chosen.propose(problem, from_json(request["history"]), request["n"], rng)
    return {"configs": list(proposal.configs), "notes": list(proposal.notes)}


def _conclude(request: Mapping[str, Any]) -> dict[str, Any]:
    designed = designed_spec(request["spec"])
    assert designed is not None, "only jobs that follow a plan conclude"
    trials = [Measured(**trial) for trial in request["trials"]]
    return plan_of(designed).conclude(trials, request["known"]).to_json()


@lru_cache(maxsize=8)
def _problem(spec: str) -> Problem:
    return build_problem(JobSpec.model_validate_json(spec))


def _read(source: IO[str], requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in source:
        requests.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
