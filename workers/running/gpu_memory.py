"""How full the GPUs of a machine are, as their driver says: a short task that needs no GPU of its own."""

from __future__ import annotations

import subprocess

import ray

QUERY = ("nvidia-smi", "--query-gpu=name,memory.used,memory.total", "--format=csv,noheader,nounits")
WITHIN = 20.0
"""Seconds that a driver may take to answer."""
MEBIBYTE = 1 << 20


@ray.remote(num_cpus=0, max_retries=0)
def gpu_memory() -> list[tuple[str, int, int]]:
    """Name, bytes taken and bytes in all of each GPU of this machine; empty where no driver answers."""
    try:
        told = subprocess.run(QUERY, capture_output=True, text=True, timeout=WITHIN, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return read_memory(told)


def read_memory(told: str) -> list[tuple[str, int, int]]:
    """What `nvidia-smi` printed, a GPU a line. One that does not tell its memory (`[N/A]`) is left out."""
    found = []
    for line in told.splitlines():
        name, used, total = (part.strip() for part in line.rsplit(",", 2))
        if used.isdecimal() and total.isdecimal():
            found.append((name, int(used) * MEBIBYTE, int(total) * MEBIBYTE))
    return found
