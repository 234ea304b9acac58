"""Costly functions for tests of the pool, importable by its processes."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from service.answering.costly import Desk, costly
from service.errors import NotFound


class Answered(BaseModel):
    """What was asked, and which process answered."""

    said: str
    process: int


@costly
def echo(_desk: Desk, word: str) -> Answered:
    """Answer at once."""
    return Answered(said=word, process=os.getpid())


@costly
def slow(desk: Desk, log: str, seconds: float = 60.0) -> Answered:
    """Note that it began, tell where it is, and take its time."""
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    desk.progress("half way")
    time.sleep(seconds)
    return Answered(said="slept", process=os.getpid())


@costly
def talk_on(
    desk: Desk, job_id: str, trials: list[str], prompt: str, max_new_tokens: int, temperature: float, seed: int
) -> Answered:
    """Stand for a chat that has begun to answer and does not end: its prompt is where it notes its process."""
    del job_id, trials, max_new_tokens, temperature, seed
    Path(prompt).write_text(str(os.getpid()))
    desk.progress("trial 0: the cat sat")
    time.sleep(600)
    return Answered(said="slept", process=os.getpid())


@costly
def fold_on(desk: Desk, trial_id: str) -> Answered:
    """Stand for folding an adapter that does not end."""
    desk.progress(f"folding {trial_id}")
    time.sleep(600)
    return Answered(said="slept", process=os.getpid())


@costly
def litter(_desk: Desk, log: str, seconds: float) -> Answered:
    """Begin a temporary file, note where, and take its time."""
    with tempfile.NamedTemporaryFile() as begun:
        Path(log).write_text(f"{begun.name}\n")
        time.sleep(seconds)
    return Answered(said="tidy", process=os.getpid())


@costly
def large(_desk: Desk) -> Answered:
    """Take two gigabytes."""
    return Answered(said=str(np.ones(1 << 28).sum()), process=os.getpid())


@costly
def memory(_desk: Desk) -> Answered:
    """Say how much may be taken."""
    return Answered(said=str(resource.getrlimit(resource.RLIMIT_DATA)[0]), process=os.getpid())


@costly
def refuse(_desk: Desk) -> Answered:
    """Refuse."""
    raise NotFound("thing", "x")


@costly
def undetermined(_desk: Desk) -> Answered:
    """Solve what has no solution."""
    return Answered(said=str(np.linalg.inv(np.zeros((2, 2)))), process=os.getpid())


@costly
def die(_desk: Desk) -> Answered:
    """Crash the process."""
    os._exit(3)
