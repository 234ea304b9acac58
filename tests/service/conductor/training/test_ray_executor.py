"""Packs on real Ray: everyone's messages arrive, a dead worker loses all of its trials, one that hangs can be ended."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.conductor.__main__ import ray_scratch
from service.conductor.training.executor import Lost
from service.conductor.training.placement import Shape
from service.conductor.training.ray_executor import RayExecutor
from tests.patience import PATIENCE_S
from tests.service.conductor.ray_messages import ended, receive
from tests.service.tiny_task import tiny_job
from workers.assignment import Assignment, Outcome
from workers.tasks.catalogue.text_classification import TextClassificationSpec

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ONE_CORE = Shape(1.0, 0.0)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TextClassificationSpec:
    return TextClassificationSpec.model_validate(tiny_job(tmp_path_factory.mktemp("task"), trials=1)["task"])


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayExecutor]:
    home = tmp_path_factory.mktemp("home")
    started = RayExecutor(None, ray_scratch(home), home, str(home / "artifacts"))
    yield started
    started.close()


def trial(task: TextClassificationSpec, name: str, epochs: float = 2, **config: Any) -> Assignment:
    config = {"method": "lora", "rank": 2, "top_layers": 1, **config}
    return Assignment(trial_id=name, attempt=1, task=task, config=config, epochs=epochs, seed=1, measure_latency=False)


def worker() -> psutil.Process:
    """The one worker that trains now."""
    children = psutil.Process().children(recursive=True)
    return next(child for child in children if "TrialWorker.train" in " ".join(child.cmdline()))


def test_a_local_ray_listens_on_loopback_only_and_has_a_token_of_its_own(executor: RayExecutor) -> None:
    assert executor.machine().cpus > 0
    own = psutil.Process()
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in (own, *own.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert Path.home() / ".ray" not in token.parents
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_its_nodes_say_what_is_taken_of_them(executor: RayExecutor) -> None:
    (node,) = executor.nodes()
    assert node.alive
    uses = {use.name: use for use in node.resources}
    assert uses["CPU"].total == executor.machine().cpus
    assert 0 <= uses["CPU"].used <= uses["CPU"].total
    assert {"CPU", "memory"} <= set(uses)
    assert not any(":" in name for name in uses)


def test_members_and_one_that_comes_later_all_have_their_outcomes(
    executor: RayExecutor, task: TextClassificationSpec
) -> None:
    executor.start([trial(task, "a"), trial(task, "b", epochs=30)], ONE_CORE, places=3)
    messages = receive(executor, lambda got: bool(got))
    executor.board(trial(task, "c", rank=4), "b")
    assert executor.free(ONE_CORE) == executor.machine().cpus - 1
    messages += receive(executor, lambda got: len(ended([*messages, *got])) == 3)
    outcomes = ended(messages)
    states = {name: one.status for name, one in outcomes.items() if isinstance(one, Outcome)}
    assert states == dict.fromkeys("abc", "completed")
    assert executor.free(ONE_CORE) == executor.machine().cpus
    executor.board(trial(task, "d"), "b")  # nobody is there any more
    (lost,) = executor.receive(0)
    assert isinstance(lost, Lost)
    assert (lost.trial_id, lost.blameless) == ("d", True)


def test_two_packs_train_at_once_and_hear_of_each_other_nothing(
    executor: RayExecutor, task: TextClassificationSpec
) -> None:
    packs = [["a", "b"], ["c", "d"]]
    for names in packs:
        # Half a core each, so that there is room for two anywhere; more epochs than anybody will wait for.
        executor.start([trial(task, name, epochs=50_000) for name in names], Shape(0.5, 0.0), places=2)
    everyone = set("abcd")
    receive(executor, lambda got: {message.trial_id for message in got} == everyone)  # nobody ends by itself
    workers = {id(executor._running[name].actor) for name in everyone}
    assert len(workers) == len(packs)
    executor.signal("a", "stop")
    (first,) = ended(receive(executor, lambda got: bool(ended(got)))).values()
    assert isinstance(first, Outcome)
    assert (first.trial_id, first.status) == ("a", "stopped")
    receive(executor, lambda got: {"b", "c", "d"} <= {message.trial_id for message in got})  # the others go on
    for name in "bcd":
        executor.signal(name, "stop")
    rest = ended(receive(executor, lambda got: len(ended(got)) == 3))
    found = {name: one for name, one in {**rest, "a": first}.items() if isinstance(one, Outcome)}
    assert {name: one.status for name, one in found.items()} == dict.fromkeys(everyone, "stopped")
    companions = {name: one.environment["packed_with"] for name, one in found.items()}
    assert companions == {"a": "b", "b": "a", "c": "d", "d": "c"}
    assert all(one.adapter is not None and one.engine == "fast" for one in found.values())


def test_a_worker_that_dies_loses_all_of_its_trials(executor: RayExecutor, task: TextClassificationSpec) -> None:
    executor.start([trial(task, "a", epochs=500), trial(task, "b", epochs=500)], ONE_CORE, places=2)
    receive(executor, lambda got: bool(got))
    worker().kill()
    lost = ended(receive(executor, lambda got: len(ended(got)) == 2))
    assert {name: (one.together, one.blameless) for name, one in lost.items() if isinstance(one, Lost)} == {
        "a": (2, False),
        "b": (2, False),
    }


def test_one_that_dies_without_work_costs_the_next_trial_nothing(
    executor: RayExecutor, task: TextClassificationSpec
) -> None:
    executor.start([trial(task, "a")], ONE_CORE)
    receive(executor, lambda got: bool(ended(got)))
    idle = [
        child for child in psutil.Process().children(recursive=True) if "ray::TrialWorker" in " ".join(child.cmdline())
    ]
    for child in idle:
        child.kill()
    psutil.wait_procs(idle)
    executor.start([trial(task, "b")], ONE_CORE)
    outcomes = ended(receive(executor, lambda got: bool(ended(got))))
    assert [type(outcomes[name]) for name in outcomes] == [Outcome]


def test_a_worker_that_hangs_is_ended_and_its_core_is_free_again(
    executor: RayExecutor, task: TextClassificationSpec
) -> None:
    executor.start([trial(task, "a", epochs=500), trial(task, "b", epochs=500)], ONE_CORE, places=2)
    receive(executor, lambda got: bool(got))
    hanging = worker()
    hanging.send_signal(signal.SIGSTOP)
    while executor.receive(0.5):
        pass
    executor.abandon("a")
    (lost,) = executor.receive(0)
    assert isinstance(lost, Lost)
    assert (lost.trial_id, lost.blameless) == ("b", True)
    assert executor.free(ONE_CORE) == executor.machine().cpus
    executor.start([trial(task, "c")], ONE_CORE)
    outcomes = ended(receive(executor, lambda got: bool(ended(got))))
    assert set(outcomes) == {"c"}
    hanging.wait(PATIENCE_S)
