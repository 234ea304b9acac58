"""Ray on this machine alone, started here: with a token of its own, on loopback, without dashboard."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray._private import services

from service.processes.home import write_private

OBJECT_STORE_BYTES = 100_000_000  # only reports and outcomes pass through it
STARTED_WITHIN = 180.0  # seconds for the node to say that it is there, on a machine that has much else to do
_AGAIN = 0.2


def use_own_token(file: Path) -> None:
    """Ray asks for a token where it starts locally, by default one of all clusters of a user, which others may read."""
    if "RAY_AUTH_TOKEN" not in os.environ and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        if not file.exists():
            write_private(file, secrets.token_hex(32))
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(file)


def start_local(scratch: Path) -> None:
    """Start Ray on this machine without dashboard. Logs of earlier runs go: each would leave some megabytes."""
    for session in scratch.glob("session_*"):
        if session.is_symlink():
            session.unlink()
        else:
            shutil.rmtree(session, ignore_errors=True)
    # Ray's default lets workers yield to everything else on the machine, the proposer and the API included.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Ray warns on every start that its ports ask for a token, which is as it should be.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    with _on_loopback(), _patiently():
        ray.init(
            address="local",  # never join another user's cluster on this machine
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(scratch),
            _node_ip_address="127.0.0.1",
            log_to_driver=False,
            logging_level=logging.WARNING,
        )


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray listens on all interfaces unless its node has the address 127.0.0.1, which it would replace by another."""
    replace = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = replace


@contextlib.contextmanager
def _patiently(within: float = STARTED_WITHIN) -> Iterator[None]:
    """Ray gives its node 30 seconds, which cannot be set. On a busy machine each start would be over before it was up,
    and the next one as well: here a look for the node lasts until it is there, or `within` seconds are over."""
    look = services.get_node

    def until_there(*given: Any, **named: Any) -> Any:
        last = time.monotonic() + within
        while True:
            try:
                return look(*given, **named)  # type: ignore[no-untyped-call]
            except RuntimeError:
                if time.monotonic() >= last:
                    raise
                time.sleep(_AGAIN)

    services.get_node = until_there
    try:
        yield
    finally:
        services.get_node = look
