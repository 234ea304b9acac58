"""What a terminal shows while the server computes an answer: that it does, how far it is, and that Ctrl-C ends it."""

from __future__ import annotations

from rich.status import Status

from peftsearch.cli.output import messages


class Waiting:
    """Told each stage of a costly answer, and None at its end. Where nobody looks, on no terminal, it shows nothing."""

    def __init__(self) -> None:
        self._shown: Status | None = None

    def __call__(self, stage: str | None) -> None:
        """Show a stage, or take the line away."""
        if stage is None:
            if self._shown is not None:
                self._shown.stop()
            self._shown = None
        elif not messages.is_terminal:
            return
        elif self._shown is None:
            self._shown = messages.status(f"{stage} … (Ctrl-C gives up)")
            self._shown.start()
        else:
            self._shown.update(f"{stage} … (Ctrl-C gives up)")
