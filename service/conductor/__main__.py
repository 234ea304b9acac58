"""`python -m service.conductor`: the conductor as a process of its own, set up by the `PEFTSEARCH_*` variables."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path

from service.conductor.garbage import collecting
from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.takeover import take_over
from service.conductor.training.placement import place
from service.errors import ServiceError
from service.jobs.search.spec import ResourcesSpec
from service.notifying.courier import Courier, delivering
from service.processes.disk_room import full_disk
from service.processes.home import HomeInUseError, HomeLock, home_identity, keep_private
from service.processes.lifeline import follow_parent
from service.processes.logs import log_to_stderr
from service.redaction import redacted
from service.settings import Settings, SettingsError
from service.store.store import open_store
from workers import tracing
from workers.artifacts import ArtifactStore
from workers.outbound.addresses import Allowed

LONGEST_SCRATCH = 40  # characters: Ray appends its session's and sockets' names, and a socket's path ends at 107
WAIT_FOR_DEAD = 10.0  # seconds for a killed conductor's last threads to let go of the home
log = logging.getLogger(__name__)


def main() -> int:
    """Run until a signal or the parent's death. Exit status 0 after a signal, 1 when it could not start."""
    supervised = follow_parent()
    try:
        settings = Settings.read()
        log_to_stderr("conductor", settings.log)
        tracing.begin("conductor")
        keep_private(settings.home)
        conduct(settings, supervised)
    except (SettingsError, HomeInUseError, ServiceError, OSError) as error:
        print(f"conductor: {redacted(str(error))}", file=sys.stderr)
        return 1
    return 0


def conduct(settings: Settings, supervised: bool = False) -> None:
    """Take the home, free what its dead conductor held, and drive jobs until SIGTERM (or SIGINT, when on our own).

    Raises HomeInUseError when another conductor works on this home, and Unavailable without its database.
    """
    from service.conductor.training.ray_executor import RayExecutor  # starts the import of Ray only when it is needed

    lock = HomeLock(settings.home, "conductor")
    lock.acquire(wait=WAIT_FOR_DEAD)
    store = open_store(settings.database)
    identity = f"{home_identity(settings.home)}."
    take_over(store, identity)
    proposer = Proposer()
    proposer.warm()  # beside Ray, which takes as long to start
    executor = RayExecutor(
        settings.ray, ray_scratch(settings.home), settings.home, settings.artifacts, settings.programs, settings.judges
    )
    try:
        stop = _on_signal(supervised)
        if settings.ray is None:  # a cluster's cores are not ours to hold while there is no job
            usual = place(ResourcesSpec(), executor.machine())
            executor.warm_up(usual.shape, usual.workers)
        log.info("ready: %s", executor.machine())
        courier = Courier(store, Allowed(settings.webhooks))
        artifacts = ArtifactStore(settings.artifacts)
        with collecting(store, artifacts, settings.database, settings.uploads), delivering(courier):
            owner = identity + secrets.token_hex(3)
            Conductor(store, executor, proposer, owner, has_room=lambda: full_disk(settings) is None).run(stop)
    finally:
        proposer.close()
        executor.close()
        store.close()
        lock.release()


def _on_signal(supervised: bool) -> threading.Event:
    """An event that SIGTERM sets. Ctrl-C reaches the whole group: a supervised conductor leaves that to its parent."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN if supervised else lambda *_: stop.set())
    return stop


def ray_scratch(home: Path) -> Path:
    """Where Ray puts its sockets and logs: in the home, or for a long path in the system's temporary folder."""
    inside = home / "ray"
    if len(str(inside)) <= LONGEST_SCRATCH:
        return inside
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"peftsearch-{os.getuid()}-{digest}"


if __name__ == "__main__":
    sys.exit(main())
