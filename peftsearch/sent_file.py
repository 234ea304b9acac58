"""A file as the body of a request, in pieces: what is sent need not fit into memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

PIECE = 1 << 20
"""Bytes in memory at a time."""


class SentFile:
    """Read anew for every request. A folder or a file that is not there raises OSError at once."""

    def __init__(self, path: Path) -> None:
        with path.open("rb"):
            self._path = path

    def pieces(self) -> Iterator[bytes]:
        """For the client."""
        with self._path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    async def pieces_for_asyncio(self) -> AsyncIterator[bytes]:
        """For its asynchronous twin."""
        for piece in self.pieces():
            yield piece
