"""The Python client and its asynchronous twin against a running server."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from peftsearch import AsyncClient, Client
from peftsearch.connection import Connection
from peftsearch.errors import BadInput, Conflict, NotAllowed, NotFound, Unreachable

Spec = dict[str, Any]


@pytest.mark.slow
def test_a_job_from_submit_to_export(client: Any, spec: Spec, worker: Any, tmp_path: Path) -> None:
    job = client.submit(spec)
    assert (job.state, job.over, job.progress.done, job.objectives[0].metric) == ("queued", False, 0, "accuracy")
    worker.start(job.id)
    worker.suggest(job.id, 2)
    worker.complete(job.id, 0.8, 500, adapter=True)
    (completed,) = client.trials(job.id, states=["completed"])
    assert client.trial(completed.id) == completed
    assert completed.metrics["accuracy"] == 0.8
    assert completed.started_at.tzinfo is not None
    assert [report.step for report in client.reports(completed.id)] == [1, 2]
    assert client.pareto(job.id).items == (completed,)
    assert client.best(job.id, where=["trainable_params<=500"]).trial == completed
    assert client.job(job.id).best == {"accuracy": 0.8, "trainable_params": 500}
    folder = client.export(completed.id, tmp_path / "adapter")
    assert {file.name for file in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}


def test_lists_are_read_to_their_end(client: Any, spec: Spec, worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = client.submit(spec).id
    worker.start(job_id)
    worker.suggest(job_id, 7)
    monkeypatch.setattr("peftsearch.client.PAGE", 3)
    assert [trial.number for trial in client.trials(job_id)] == list(range(7))
    assert [trial.number for trial in client.trials(job_id, limit=4)] == [0, 1, 2, 3]


def test_results_become_data_frames(client: Any, spec: Spec, worker: Any) -> None:
    job_id = client.submit(spec).id
    worker.start(job_id)
    worker.suggest(job_id, 2)
    worker.complete(job_id, 0.8, 500)
    frame = client.trials(job_id).to_dataframe()
    assert list(frame["config.rank"]) == [1, 2]
    assert frame["metrics.accuracy"][0] == 0.8
    assert list(client.jobs().to_dataframe()["id"]) == [job_id]
    assert list(client.reports(f"{job_id}-0").to_dataframe()["metrics.loss"]) == [1.0, 0.5]
    assert len(client.pareto(job_id).to_dataframe()) == 1
    assert "lora" in set(client.methods().to_dataframe()["name"])


@pytest.mark.slow
def test_errors_say_who_can_act(client: Any, spec: Spec, url: str) -> None:
    with pytest.raises(BadInput) as refused:
        client.submit(spec | {"budget": {"trials": 0}})
    (problem,) = refused.value.problems
    assert (problem.field, problem.found) == ("budget.trials", 0)
    assert "budget.trials" in str(refused.value)
    with pytest.raises(NotFound):
        client.job("jnone")
    with pytest.raises(NotFound):
        client.export("jnone-1", "nowhere")
    with pytest.raises(NotFound):
        next(client.events("jnone"))
    job = client.submit(spec)
    client.cancel(job.id)
    with pytest.raises(Conflict):
        client.pause(job.id)
    with Client("http://127.0.0.1:9") as nobody:
        for ask in (nobody.jobs, lambda: nobody.export("j-1", "nowhere"), lambda: next(nobody.events("j"))):
            with pytest.raises(Unreachable, match=re.escape("http://127.0.0.1:9")):
                ask()
    assert url != "http://127.0.0.1:9"


def test_the_best_values_are_those_of_one_trial(client: Any, spec: Spec, worker: Any) -> None:
    job_id = client.submit(spec).id
    assert (client.job(job_id).best, client.job(job_id).best_trial) == ({}, None)
    worker.start(job_id)
    worker.suggest(job_id, 2)
    worker.complete(job_id, 0.8, 500)
    worker.complete(job_id, 0.9, 21_900)
    job = client.job(job_id)
    assert (job.best_trial, job.best) == (f"{job_id}-1", {"accuracy": 0.9, "trainable_params": 21_900})


def test_a_refusal_says_each_problem_once(client: Any, spec: Spec) -> None:
    with pytest.raises(BadInput) as one:
        client.submit(spec | {"optimizer": {"name": "tpee"}})
    assert str(one.value).count("optimizer.name") == 1
    assert "\n" not in str(one.value)
    task = spec["task"] | {"train": "trian.csv"}
    with pytest.raises(BadInput) as several:
        client.submit(spec | {"task": task, "optimizer": {"name": "tpee"}})
    head, *lines = str(several.value).splitlines()
    assert head == "The request is not valid, 2 problems:"
    assert sorted(line.split(":")[0].strip() for line in lines) == ["optimizer.name", "task.train"]
    assert all(line.count(field) == 1 for line in lines for field in ("optimizer.name", "task.train") if field in line)


def test_a_wrong_token_is_not_allowed(
    settings: Any, store: Any, app: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = settings.model_copy(update={"no_auth": False})
    monkeypatch.setattr(app.state, "surroundings", _with(app.state.surroundings, settings=asking))
    with pytest.raises(NotAllowed):
        client.jobs()
    secret, _ = store.create_token("reader", ["read"])
    with Client(client.url, secret) as reader:
        assert reader.jobs() == ()
        with pytest.raises(NotAllowed, match="submit"):
            reader.cancel("j1")


def _with(surroundings: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(surroundings, **changes)


def test_events_end_with_the_job(client: Any, spec: Spec, worker: Any, store: Any) -> None:
    job_id = client.submit(spec).id
    worker.start(job_id)
    worker.suggest(job_id, 1)
    worker.complete(job_id, 0.8, 500)
    store.set_job_state(job_id, "completed")
    events = list(client.events(job_id))
    assert [event.sequence for event in events] == [event.sequence for event in store.events_after(0, job_id)]
    assert events[-1].payload["state"] == "completed"
    assert [event.sequence for event in client.events(job_id, after=events[1].sequence)] == [
        event.sequence for event in events[2:]
    ]


class Relay:
    """Passes bytes between a client and a server and can cut every connection at once."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.accepted = 0
        self.lose_next_answer = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection that is open now."""
        for one in self._open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._open.clear()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, target, source is far), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        try:
            while chunk := source.recv(65536):
                if is_answer and self.lose_next_answer:
                    self.lose_next_answer = False
                    break
                target.sendall(chunk)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def test_events_go_on_where_a_broken_connection_stopped(
    url: str, client: Any, spec: Spec, worker: Any, store: Any
) -> None:
    relay = Relay(int(url.rpartition(":")[2]))
    job_id = client.submit(spec).id
    worker.start(job_id)
    with Client(f"http://127.0.0.1:{relay.port}") as watcher:
        events = watcher.events(job_id)
        seen = [next(events).sequence for _ in range(2)]
        for _ in range(3):
            relay.cut()
            worker.suggest(job_id, 1)
            seen.append(next(events).sequence)
        store.set_job_state(job_id, "cancelled")
        seen += [event.sequence for event in events]
    assert seen == [event.sequence for event in store.events_after(0, job_id)]
    assert relay.accepted >= 4
    relay.close()


def test_a_request_whose_answer_was_lost_is_repeated_without_doubling(url: str, client: Any, spec: Spec) -> None:
    relay = Relay(int(url.rpartition(":")[2]))
    with Client(f"http://127.0.0.1:{relay.port}") as cut_off:
        relay.lose_next_answer = True
        job = cut_off.submit(spec)
    assert not relay.lose_next_answer
    assert [one.id for one in client.jobs()] == [job.id]
    relay.close()


def test_extending_is_never_sent_twice_by_itself(url: str, client: Any, spec: Spec) -> None:
    relay = Relay(int(url.rpartition(":")[2]))
    job = client.submit(spec)
    with Client(f"http://127.0.0.1:{relay.port}") as cut_off:
        relay.lose_next_answer = True
        with pytest.raises(Unreachable):
            cut_off.extend(job.id, trials=5)
        assert cut_off.job(job.id).progress.trials_total == 11
    relay.close()


@pytest.mark.slow
def test_the_asynchronous_twin(url: str, client: Any, spec: Spec, worker: Any, store: Any, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncClient(url) as twin:
            job = await twin.submit(spec)
            worker.start(job.id)
            worker.suggest(job.id, 2)
            done = worker.complete(job.id, 0.8, 500, adapter=True)
            assert (await twin.trials(job.id, limit=1)) == client.trials(job.id, limit=1)
            assert (await twin.pareto(job.id)) == client.pareto(job.id)
            assert (await twin.best(job.id)) == client.best(job.id)
            assert (await twin.reports(done.id)) == client.reports(done.id)
            assert (await twin.export(done.id, tmp_path / "twin") / "adapter_config.json").exists()
            store.set_job_state(job.id, "completed")
            events = [event async for event in twin.events(job.id)]
            assert events == list(client.events(job.id))
            assert [one.id async for one in _jobs(twin)] == [job.id]
            assert (await twin.remark_job(job.id, ["base"], "x")).tags == ("base",)
            assert [one.note for one in await twin.jobs(tags=["base"], text="X")] == ["x"]
            assert (await twin.remark_trial(f"{job.id}-0", ["odd"])).tags == ("odd",)
            assert [one.number for one in await twin.trials(job.id, tags=["odd"])] == [0]
            with pytest.raises(NotFound):
                await twin.job("jnone")

    async def _jobs(twin: AsyncClient) -> Any:
        for job in await twin.jobs():
            yield job

    asyncio.run(use())


def test_both_clients_have_the_same_verbs() -> None:
    def verbs(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert verbs(Client) == verbs(AsyncClient)


def test_the_token_file_is_read_for_this_machine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("PEFTSEARCH_HOME", str(tmp_path))
    for name in ("PEFTSEARCH_URL", "PEFTSEARCH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert Connection.resolve() == Connection("http://127.0.0.1:8765", "secret")
    assert Connection.resolve("https://example.org").token is None
    monkeypatch.setenv("PEFTSEARCH_TOKEN", "other")
    assert Connection.resolve("https://example.org/").headers == {"Authorization": "Bearer other"}
    assert Connection.resolve("https://example.org/", "own").token == "own"
