"""The token that the embedded default leaves in its home for the command line."""

from __future__ import annotations

from service.errors import Unauthorized
from service.processes.home import HomeLock, write_private
from service.settings import Settings
from service.store.store import Store

WAIT = 30.0  # seconds for another process that is making it


def admin_token(settings: Settings, store: Store) -> str:
    """The token in the home if this database knows it, else a new one, written for this user's eyes only. Of several
    processes that ask at once one makes it."""
    lock = HomeLock(settings.home, "token")
    lock.acquire(WAIT)
    try:
        if settings.token_file.exists():
            token = settings.token_file.read_text().strip()
            try:
                store.check_token(token)
            except Unauthorized:
                pass
            else:
                return token
        token, _ = store.create_token("admin", ["admin"])
        write_private(settings.token_file, token + "\n")
        return token
    finally:
        lock.release()
