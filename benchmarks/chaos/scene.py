"""A scene: a service with outside workers, one job, and faults at seeded moments while it runs."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.chaos.checker import Verdict, check
from benchmarks.chaos.node import CLOCK, LEASE
from benchmarks.chaos.postgres import Postgres
from benchmarks.chaos.processes import Child, Supervision, free_port, limit_files
from benchmarks.chaos.proxy import Proxy
from peftsearch import Client
from peftsearch.errors import PeftsearchError

WORKERS = 6
SECONDS = 2.5
"""Of a trial."""

STANDSTILL = 240.0
"""Seconds in which nothing happens to a job before it counts as one that never ends, on however slow a machine."""

OPTIMIZERS = ("random", "tpe", "nsga2")
JUMPS = (3600.0, -3600.0, 40.0, -40.0)


@dataclass
class Played:
    """What came of a scene."""

    seconds: float
    points: list[str]
    verdict: Verdict


@dataclass
class Scene:
    """The processes of one scene, in a folder of their own."""

    folder: Path
    trials: int
    rng: random.Random
    postgres: Postgres | None = None
    apis: list[Child] = field(default_factory=list)
    conductors: list[Child] = field(default_factory=list)
    workers: list[Child] = field(default_factory=list)
    proxies: list[Proxy] = field(default_factory=list)
    job_id: str = ""
    supervision: Supervision = field(init=False)

    def __post_init__(self) -> None:
        self.supervision = Supervision(lambda: (*self.apis, *self.conductors, *self.workers))

    @property
    def database(self) -> str:
        """URL of the store."""
        return self.postgres.url if self.postgres else f"sqlite:///{self.folder / 'store.db'}"

    @property
    def artifacts(self) -> str:
        """Folder of the adapters."""
        return str(self.folder / "artifacts")

    @property
    def clock(self) -> Path:
        """The file that says how far the clocks have jumped."""
        return self.folder / "clock"

    def begin(self) -> None:
        """Start the service, submit the job, start the workers."""
        self.clock.write_text("0")
        halves = 2 if self.postgres else 1
        for number in range(halves):
            port = free_port()
            self.apis.append(self._node("api", number, port).start())
            self.proxies.append(Proxy(port))
        with Client(f"http://127.0.0.1:{self.proxies[0].port}", "") as client:
            _ready(client)
            self.job_id = client.submit(self._job()).id
        self.conductors = [self._node("conductor", number, 0).start() for number in range(halves)]
        for number in range(WORKERS):
            self.workers.append(self._worker(number).start())
        self.supervision.start()

    def await_end(self) -> None:
        """Wait until the job is over; raises TimeoutError when it stands still."""
        url = f"http://127.0.0.1:{self.proxies[0].port}"
        await_end(url, self.job_id, STANDSTILL, f"logs are in {self.folder}")

    def end(self) -> None:
        """End every process."""
        self.supervision.stop()
        for child in (*self.workers, *self.conductors, *self.apis):
            child.end()
        for proxy in self.proxies:
            proxy.close()

    def _node(self, half: str, number: int, port: int) -> Child:
        environment = {
            "PEFTSEARCH_HOME": str(self.folder / f"home-{half}-{number}"),
            "PEFTSEARCH_DATABASE": self.database,
            "PEFTSEARCH_ARTIFACTS": self.artifacts,
            "PEFTSEARCH_DATA_ROOTS": str(self.folder),
            "PEFTSEARCH_PORT": str(port),
            "PEFTSEARCH_NO_AUTH": "1",
            CLOCK: str(self.clock),
        }
        arguments = ["benchmarks.chaos.node", half]
        return Child(f"{half} {number}", arguments, environment, self.folder / f"{half}-{number}.log")

    def _worker(self, number: int) -> Child:
        url = f"http://127.0.0.1:{self.proxies[number % len(self.proxies)].port}"
        given = [url, self.job_id, f"w{number}", str(self.folder), str(SECONDS)]
        log = self.folder / f"worker-{number}.log"
        return Child(f"worker {number}", ["benchmarks.chaos.worker", *given], {}, log)

    def _job(self) -> dict[str, Any]:
        return {
            "name": "chaos",
            "task": {"model": "builtin:minilm", "train": "builtin:pydocs", "train_rows": 200, "validation_rows": 50},
            "space": {"preset": "lora"},
            "objectives": [
                {"metric": "accuracy", "direction": "maximize"},
                {"metric": "trainable_params", "direction": "minimize"},
            ],
            "optimizer": {"name": self.rng.choice(OPTIMIZERS)},
            "budget": {"trials": self.trials, "epochs": 4},
            "resources": {"executor": "external", "concurrency": WORKERS, "max_attempts": 10},
        }


def await_end(url: str, job_id: str, standstill: float, where: str) -> None:
    """Wait until the job is over; raises TimeoutError, saying `where` to look, when nothing has happened to it for so
    many seconds."""
    known, since = None, time.monotonic()
    while time.monotonic() - since < standstill:
        with suppress(PeftsearchError), Client(url, "") as client:
            job = client.job(job_id)
            if job.over:
                return
            reached = (job.state, job.progress)
            if reached != known:
                known, since = reached, time.monotonic()
        time.sleep(0.1)
    raise TimeoutError(f"nothing has happened to the job for {standstill:g} s: {known}; {where}")


def _ready(client: Client) -> None:
    deadline = time.monotonic() + STANDSTILL
    while True:
        try:
            client.health(ready=True)
            return
        except PeftsearchError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


# Faults: each does its harm at once and returns whether there was anything to harm.


def kill_api(scene: Scene) -> bool:
    """`kill -9` of an API process."""
    scene.rng.choice(scene.apis).kill()
    return True


def kill_conductor(scene: Scene) -> bool:
    """`kill -9` of a conductor."""
    scene.rng.choice(scene.conductors).kill()
    return True


def kill_proposer(scene: Scene) -> bool:
    """`kill -9` of the process that runs the optimizer."""
    children = [child for conductor in scene.conductors for child in conductor.children()]
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    return bool(children)


def kill_worker(scene: Scene) -> bool:
    """`kill -9` of a worker."""
    scene.rng.choice(scene.workers[:WORKERS]).kill()
    return True


def hang_worker(scene: Scene) -> bool:
    """A worker hangs for longer than its lease and comes back late."""
    scene.rng.choice(scene.workers[:WORKERS]).freeze(1.5 * LEASE)
    return True


def double_worker(scene: Scene) -> bool:
    """A second process works under the id of a worker that lives."""
    twin = scene.rng.choice(scene.workers[:WORKERS])
    scene.workers.append(Child(f"{twin.name} again", twin.arguments, {}, twin.log).start())
    return True


def leaking_worker(scene: Scene) -> bool:
    """A hundred connections with half a request each are left open."""
    sockets = []
    for _ in range(100):
        with suppress(OSError):
            one = socket.create_connection(("127.0.0.1", scene.proxies[0].target), timeout=1)
            one.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
            sockets.append(one)
    timer = threading.Timer(10, _close, [sockets])
    timer.daemon = True
    timer.start()
    return bool(sockets)


def cut_connections(scene: Scene) -> bool:
    """Every connection is reset in the middle of what is said."""
    scene.rng.choice(scene.proxies).cut(0.5)
    return True


def fill_disk(scene: Scene) -> bool:
    """For a second and a half nothing can be written."""
    if scene.postgres is not None:
        return False  # the database has a disk of its own
    found = [psutil.Process(one.process.pid) for one in (*scene.apis, *scene.conductors) if one.alive and one.process]
    for process in found:
        limit_files(process, 512)
    timer = threading.Timer(1.5, _empty_disk, [scene, found])
    timer.daemon = True
    timer.start()
    return bool(found)


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _empty_disk(scene: Scene, processes: list[psutil.Process]) -> None:
    """There is room again, also for what was started meanwhile, to which the limit was handed on."""
    started = [one for child in (*scene.apis, *scene.conductors) for one in child.children()]
    for process in (*processes, *started):
        limit_files(process, None)


def jump_clock(scene: Scene) -> bool:
    """The clocks jump, by an hour or by less than a minute, forwards or back."""
    scene.clock.write_text(str(scene.rng.choice(JUMPS)))
    return True


def freeze_conductor(scene: Scene) -> bool:
    """A conductor sleeps for longer than its lease, and another one or itself goes on."""
    scene.rng.choice(scene.conductors).freeze(1.5 * LEASE)
    return len(scene.conductors) > 1


def kill_backend(scene: Scene) -> bool:
    """`kill -9` of a process that serves a connection: PostgreSQL ends all and recovers."""
    return scene.postgres is not None and scene.postgres.kill_backend(scene.rng)


def crash_postgres(scene: Scene) -> bool:
    """`kill -9` of PostgreSQL itself, which is started again."""
    if scene.postgres is None:
        return False
    scene.postgres.crash()
    return True


COMMON: tuple[Callable[[Scene], bool], ...] = (
    kill_api,
    kill_conductor,
    kill_worker,
    cut_connections,
    hang_worker,
    kill_proposer,
    jump_clock,
    double_worker,
    kill_worker,
    leaking_worker,
)
ON_SQLITE = (*COMMON, fill_disk)
ON_POSTGRES = (*COMMON, freeze_conductor, kill_backend, crash_postgres)


def play(kind: str, seed: int, trials: int, points: int, gap: float) -> Played:
    """Play a scene of a kind (`sqlite`, `postgres`) with so many faults, about `gap` seconds apart."""
    rng = random.Random(f"{kind}-{seed}")
    faults = ON_POSTGRES if kind == "postgres" else ON_SQLITE
    order = [fault for _ in range(points // len(faults) + 1) for fault in rng.sample(faults, len(faults))]
    with _scene(kind, trials, rng) as scene:
        began = time.monotonic()
        scene.begin()
        began = time.monotonic()
        done: list[str] = []
        stop = threading.Event()
        harm = threading.Thread(target=_harm, args=(scene, order, points, gap, done, stop))
        harm.start()
        try:
            scene.await_end()
        finally:
            stop.set()
            harm.join()
        seconds = time.monotonic() - began
        if scene.postgres:
            scene.postgres.ensure()
        verdict = check(scene.database, scene.artifacts, scene.job_id, trials, scene.folder)
    return Played(seconds, done, verdict)


def _harm(
    scene: Scene,
    order: list[Callable[[Scene], bool]],
    points: int,
    gap: float,
    done: list[str],
    stop: threading.Event,
) -> None:
    for fault in order:
        if len(done) == points or stop.wait(gap * scene.rng.uniform(0.3, 1.7)):
            return
        if fault(scene):
            done.append(fault.__name__)


@contextmanager
def _scene(kind: str, trials: int, rng: random.Random) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user where tests run as root
        scene = Scene(folder, trials, rng, Postgres(folder / "postgres") if kind == "postgres" else None)
        try:
            yield scene
        finally:
            scene.end()
            if scene.postgres:
                scene.postgres.close()
