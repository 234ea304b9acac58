"""A few processes that compute costly answers: bounded in number, time and memory, shared by all who ask the same.

A question is computed once however many ask it, ends when the last of them has gone, and is refused at once when too
many others wait. Lives in one event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from service.answering.costly import Costly, name_of
from service.errors import Busy, ServiceError, TooCostly

PROCESSES = 2
WAITING = 16
"""Different questions that may wait for a process; the next one is refused."""
MEMORY = 1 << 30
"""Bytes that an answer may take, what is imported included, unless a pool says otherwise."""
MEMORY_VARIABLE = "PEFTSEARCH_ANSWER_MEMORY"
"""How a pool tells its processes."""
SECONDS = 120.0
"""That a computation may take."""
KEPT = 64
"""Answers that are kept, in case the same is asked again of the same trials."""
KEPT_LONGEST = 1 << 20  # characters
LONGEST = 64 << 20  # bytes of an answer
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

Listener = Callable[[str], None]


@dataclass(frozen=True)
class Reply:
    """A finished answer, or the problem document that came instead."""

    status: int
    content: str


@dataclass
class _Shared:
    """One computation and those who wait for it."""

    task: asyncio.Task[Reply]
    listeners: list[Listener] = field(default_factory=list)
    askers: int = 0
    stage: str = "waiting for a free process"


class AnswerPool:
    """Processes are started when they are first needed and replaced after a crash, a cancellation or a long silence."""

    def __init__(
        self,
        environment: Mapping[str, str],
        processes: int = PROCESSES,
        seconds: float = SECONDS,
        *,
        waiting: int = WAITING,
        memory: int = MEMORY,
        kept: bool = True,
    ) -> None:
        """`environment`: variables that tell a process the settings; `memory`: bytes that each may take. Processes are
        `kept` for the next question, or end with their answer, so that what they loaded goes with them."""
        bounds = {"CUDA_VISIBLE_DEVICES": "", MEMORY_VARIABLE: str(memory)}
        self._environment = {**os.environ, **ONE_THREAD, **bounds, **environment}
        self._size, self._seconds, self._waiting, self._keeps = processes, seconds, waiting, kept
        self._free = asyncio.Semaphore(processes)
        self._idle: list[Process] = []
        self._scratch: dict[int, str] = {}  # the folder of temporary files of each process
        self._shared: dict[str, _Shared] = {}
        self._kept: OrderedDict[str, Reply] = OrderedDict()
        self.computed = 0  # answers so far

    async def ask(
        self, function: Costly, arguments: Mapping[str, Any], state: object = None, listener: Listener | None = None
    ) -> Reply:
        """The answer of `function(desk, **arguments)`; `listener` is told each stage of it.

        `state` is what the answer depends on beside its arguments, such as the version of a job; with None it is
        computed anew each time. Raises Busy. Cancelling the last who waits ends the computation.
        """
        name = name_of(function)
        asked = json.dumps([name, arguments, str(state)], sort_keys=True)
        key = hashlib.sha256(asked.encode()).hexdigest()
        if state is not None and key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        shared = self._shared.get(key)
        if shared is None:
            shared = self._begin(key, name, arguments, state)
        shared.askers += 1
        if listener is not None:
            shared.listeners.append(listener)
            listener(shared.stage)
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.askers -= 1
            if not shared.askers and not shared.task.done():
                self._shared.pop(key, None)
                shared.task.cancel()

    def check_room(self) -> None:
        """Raise Busy where another question than those that are computed or waited for would be refused."""
        if len(self._shared) >= self._size + self._waiting:
            raise Busy(f"{len(self._shared)} answers are computed or waited for: try again in a few seconds")

    async def warm(self) -> None:
        """Start a process before anybody asks."""
        if not self._idle:
            self._idle.append(await self._start())

    async def close(self) -> None:
        """End every computation and every process."""
        tasks = [shared.task for shared in self._shared.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._idle:
            await self._end(self._idle.pop())

    def _begin(self, key: str, name: str, arguments: Mapping[str, Any], state: object) -> _Shared:
        self.check_room()
        question = json.dumps({"function": name, "arguments": arguments})

        async def compute() -> Reply:
            try:
                async with self._free:
                    reply = await self._compute(question, shared)
            finally:
                if self._shared.get(key) is shared:
                    del self._shared[key]
            if state is not None and reply.status == 200 and len(reply.content) < KEPT_LONGEST:
                self._kept[key] = reply
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return reply

        task = asyncio.create_task(compute())
        # Nobody may be left to be told of its end.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        shared = self._shared[key] = _Shared(task)
        return shared

    async def _compute(self, question: str, shared: _Shared) -> Reply:
        process = await self._ready()
        try:
            async with asyncio.timeout(self._seconds):
                reply = await self._conversation(process, question, shared)
        except TimeoutError:
            await self._end(process)
            raise TooCostly(f"the answer took longer than {self._seconds:g} s: ask about less") from None
        except BaseException:
            await self._end(process)
            raise
        self.computed += 1
        if self._keeps:
            self._idle.append(process)
        else:
            await self._end(process)
        return reply

    async def _conversation(self, process: Process, question: str, shared: _Shared) -> Reply:
        assert process.stdin is not None, "made with pipes"
        assert process.stdout is not None, "made with pipes"
        try:
            process.stdin.write(question.encode() + b"\n")
            await process.stdin.drain()
            while line := await process.stdout.readline():
                message = json.loads(line)
                if "progress" not in message:
                    return Reply(message["status"], message["content"])
                shared.stage = message["progress"]
                for listener in shared.listeners:
                    listener(shared.stage)
        except (ConnectionError, ValueError):  # ValueError: a line beyond LONGEST
            pass
        status = await process.wait() if process.returncode is None else process.returncode
        if status < 0:
            raise TooCostly("the answer needed more memory or time than the system gave it: ask about less")
        raise ServiceError(f"the process that computes answers ended with status {status}; the server's log says more")

    async def _ready(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            await self._end(process)
        return await self._start()

    async def _start(self) -> Process:
        command = (sys.executable, "-P", "-m", "service.answering")
        scratch = tempfile.mkdtemp(prefix="peftsearch-answer-")
        environment = {**self._environment, "TMPDIR": scratch}
        # A session of its own: Ctrl-C on the terminal is for us, who end it.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env=environment, limit=LONGEST, start_new_session=True
        )
        self._scratch[process.pid] = scratch
        return process

    async def _end(self, process: Process) -> None:
        """Kill it, and remove what it had no time to remove: gigabytes, where it was folding a model."""
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await asyncio.to_thread(shutil.rmtree, self._scratch.pop(process.pid), ignore_errors=True)
