"""Asks a function of the operator's file, in a process of its own: its crash or haste ends no worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from workers.errors import InvalidInput
from workers.generation.judging.places import code_file
from workers.generation.judging.rows import JudgedRow, JudgeFailed, as_json, checked_scores
from workers.generation.judging.section import FileJudge
from workers.programs.process import plain_environment

_RUNNER = Path(__file__).with_name("file_runner.py")
_TAIL = 1500  # characters of what it printed in a reason


def ask_file(judge: FileJudge, rows: Sequence[JudgedRow], folders: Sequence[str]) -> list[float]:
    """A score for each row. Raises `JudgeFailed`."""
    try:
        file = code_file(judge, folders)
    except InvalidInput as error:
        raise JudgeFailed(f"{judge.name}: {error}") from None
    with tempfile.TemporaryDirectory(prefix="peftsearch-judge-") as folder:
        said = Path(folder) / "scores"
        with said.open("w+b") as scores, (Path(folder) / "log").open("w+b") as log:
            _run(judge, file, json.dumps(as_json(rows)).encode(), folder, scores, log)
            scores.seek(0)
            try:
                found = json.load(scores)
            except ValueError:
                raise JudgeFailed(f"{judge.name}: {file.name} ended without scores") from None
    return checked_scores(found, len(rows), judge)


def _run(judge: FileJudge, file: Path, rows: bytes, folder: str, scores: IO[bytes], log: IO[bytes]) -> None:
    """Let it score; raises `JudgeFailed` where it ends with an error or too late."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(_RUNNER), str(file), judge.function, str(scores.fileno())],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=folder,
        env=plain_environment(),
        pass_fds=(scores.fileno(),),
        start_new_session=True,
    )
    try:
        process.communicate(rows, timeout=judge.timeout)
    except subprocess.TimeoutExpired:
        raise JudgeFailed(f"{judge.name}: not over after {judge.timeout:g} s (`timeout`)") from None
    finally:
        with suppress(ProcessLookupError):  # whatever it started goes with it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0:
        log.seek(0)
        printed = log.read().decode(errors="replace")[-_TAIL:].strip()
        raise JudgeFailed(f"{judge.name}: {file.name} ended with status {process.returncode}\n{printed}")
