"""Many outside workers and one conductor: whoever asks finds something to do, not a 204."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.conductor.loop import Conductor
from service.conductor.proposing.process import answer
from service.conductor.proposing.proposer import Conclude, Proposer, Reply, Request, _message
from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor

WORKERS, ROUNDS = 64, 3


class PromptProposer(Proposer):
    """Answers in this process, from one tick to the next."""

    def submit(self, request: Request | Conclude, trace: str | None = None) -> None:
        self._waiting.append((request, trace))

    def poll(self) -> list[Reply]:
        asked = list(self._waiting)
        self._waiting.clear()
        told = [answer(_message(*one)) for one in asked]
        return [Reply(one, tuple(said["configs"])) for (one, _), said in zip(asked, told, strict=True)]


def _refusals(
    api: TestClient, store: Store, spec: dict[str, Any], optimizer: str, concurrency: Any, rounds: int = ROUNDS
) -> list[int]:
    """How many of the workers get a 204 in each round. All of them ask and tell in the time of one question to the
    optimizer."""
    changes = {
        "optimizer": {"name": optimizer},
        "resources": {"executor": "external", "concurrency": concurrency},
        "budget": {"trials": WORKERS * (rounds + 2)},
        "reference_trials": False,
    }
    job_id = api.post("/v1/jobs", json=spec | changes).json()["id"]
    conductor = Conductor(store, ComputingExecutor(), PromptProposer(), "home.a")
    refusals = []
    for _ in range(rounds):
        for _ in range(2):  # one asks, one stores what was answered
            conductor.tick(wait=0)
        asked = [api.post(f"/v1/jobs/{job_id}/ask", json={"worker_id": f"w{n}", "wait": 0}) for n in range(WORKERS)]
        refusals.append(sum(response.status_code == 204 for response in asked))
        for given in (response.json() for response in asked if response.status_code == 200):
            outcome = {"trial_id": given["trial_id"], "attempt": given["attempt"], "status": "completed"}
            metrics = {"accuracy": 0.1 + 0.8 / (1 + given["config"]["rank"]), "trainable_params": 10}
            told = api.post(f"/v1/trials/{given['trial_id']}/tell", json=outcome | {"metrics": metrics})
            assert told.status_code == 200, told.text
    return refusals


@pytest.mark.parametrize("optimizer", ["random", "tpe"])
def test_no_worker_is_sent_away_when_the_job_says_how_many_there_are(
    api: TestClient, store: Store, spec: dict[str, Any], optimizer: str
) -> None:
    assert sum(_refusals(api, store, spec, optimizer, WORKERS)) == 0


@pytest.mark.slow
def test_workers_that_nobody_has_counted_are_served_after_a_few_rounds(
    api: TestClient, store: Store, spec: dict[str, Any]
) -> None:
    refusals = _refusals(api, store, spec, "tpe", "auto", rounds=10)
    assert refusals == sorted(refusals, reverse=True)
    assert refusals[-1] == 0
