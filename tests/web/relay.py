"""A line between a browser and a service that can be cut and mended, while the service goes on."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Relay:
    """Passes bytes between a port of its own and `port`."""

    def __init__(self, port: int) -> None:
        self._target, self._whole, self._open = port, True, list[socket.socket]()
        self._entry = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._entry.getsockname()[1]}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.cut()
        self._entry.close()

    def cut(self) -> None:
        """End every connection; new ones are ended at once."""
        self._whole = False
        while self._open:
            _close(self._open.pop())

    def mend(self) -> None:
        """Let new connections through."""
        self._whole = True

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near = self._entry.accept()[0]
                if not self._whole:
                    _close(near)
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    _close(sink)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
