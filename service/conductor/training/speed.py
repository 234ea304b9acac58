"""Measures the machine once, on Ray and in the background, and remembers the result in the home folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from pydantic import BaseModel, ValidationError
from ray.exceptions import RayError

from service.conductor.training.placement import Machine
from workers.machine_speed import MachineSpeed, measure

log = logging.getLogger(__name__)


class _Kept(BaseModel):
    """A result is good for the machine that it was measured on."""

    cpus: float
    gpus: float
    speed: MachineSpeed


@dataclass
class MeasuredSpeed:
    """The speed of a machine, from `file` or from a measurement that the first `get` begins."""

    file: Path
    _known: _Kept | None = None
    _under_way: Any = None  # the Ray object of the result
    _failed: bool = False
    _read: bool = field(default=False)

    def get(self, machine: Machine) -> MachineSpeed | None:
        """The speed of this machine; None while it is being measured, or when that failed."""
        if not self._read:
            self._known, self._read = _read(self.file), True
        if self._known is not None and (self._known.cpus, self._known.gpus) == (machine.cpus, machine.gpus):
            return self._known.speed
        if self._under_way is None and not self._failed:
            # No core is asked for: the trials may hold them all, and waiting for a free one could take hours.
            task: Any = ray.remote(measure)
            self._under_way = task.options(num_cpus=0, num_gpus=1 if machine.gpus else 0).remote()
        elif self._under_way is not None and ray.wait([self._under_way], timeout=0)[0]:
            self._finish(machine)
        return None

    def _finish(self, machine: Machine) -> None:
        try:
            speed = ray.get(self._under_way)
        except RayError as error:
            log.warning("the machine could not be measured: %s", error)
            self._failed = True
        else:
            log.info("measured: %s", speed)
            self._known = _Kept(cpus=machine.cpus, gpus=machine.gpus, speed=speed)
            self.file.write_text(self._known.model_dump_json(indent=1))
        self._under_way = None


def _read(file: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None
