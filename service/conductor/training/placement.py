"""How a job's trials share the machine. Pure: wishes, what there is and what was measured in, a plan out."""

from __future__ import annotations

from dataclasses import dataclass

from service.jobs.search.spec import ResourcesSpec
from workers.machine_speed import MachineSpeed

BYTES_PER_WORKER = 1_000_000_000  # a resident base model, torch and transformers, with room for activations
MOST_MEMBERS = 32
MEMORY_SHARE = 0.8  # of what a worker has; the rest is for fragments and for what was never measured
WORTH_PACKING = 1.2  # how much faster eight members together must be than one after another
WORTH_A_THREAD = 1.05  # how much faster a split of the cores must be than one with fewer threads a trial


@dataclass(frozen=True)
class Shape:
    """What one worker occupies: CPU cores and GPUs, either may be a fraction, in all of its `shards` together."""

    cpus: float
    gpus: float
    shards: int = 1


@dataclass(frozen=True)
class Machine:
    """What the executor has in all: cores, GPUs and bytes of memory."""

    cpus: float
    gpus: float
    memory: float


@dataclass(frozen=True)
class Placement:
    """`workers` side by side, each of `shape`, with `places` trials on each and `memory` bytes for their training."""

    workers: int
    shape: Shape
    places: int
    memory: float

    @property
    def trials(self) -> int:
        """Trials at once."""
        return self.workers * self.places


def place(
    resources: ResourcesSpec, machine: Machine, speed: MachineSpeed | None = None, ceiling: int = MOST_MEMBERS
) -> Placement:
    """Plan a job on this machine.

    Args:
        resources: what the job asks for; whatever it leaves `auto` is chosen here.
        machine: cores, GPUs and memory in all.
        speed: what was measured on it, None as long as nothing was.
        ceiling: the most members of a pack that memory is known to hold.
    """
    places = max(1, min(_places(resources, speed), ceiling))
    most = _most_workers(resources, machine, places)
    cpus = _cpus(resources, machine, most, speed)
    workers = max(1, min(most, int(machine.cpus / cpus)))
    if resources.concurrency != "auto":
        workers = most  # as asked, even if some must wait for others
    return Placement(
        workers,
        Shape(cpus, resources.gpus_per_trial, resources.shards),
        places,
        _memory(resources, machine, speed, workers),
    )


def lacking(shape: Shape, machine: Machine) -> str | None:
    """Why no trial of this shape can start on this machine as it is; None when it can."""
    if shape.cpus <= machine.cpus and shape.gpus <= machine.gpus:
        return None
    return (
        f"waiting for resources: a trial needs {shape.cpus:g} cores and {shape.gpus:g} GPUs, "
        f"there are {machine.cpus:g} and {machine.gpus:g} in all"
    )


def wants_speed(resources: ResourcesSpec, machine: Machine) -> bool:
    """Whether a measurement of the machine would change the plan."""
    if resources.shards > 1:
        return False
    packs = resources.pack == "auto" and resources.gpus_per_trial > 0
    spare = _most_workers(resources, machine, 1) < int(machine.cpus)
    return packs or (resources.cpus_per_trial == "auto" and spare)


def _places(resources: ResourcesSpec, speed: MachineSpeed | None) -> int:
    if resources.pack != "auto":
        return resources.pack
    # On a CPU one trial fills its cores: there packing measured 0.88 to 1.0 times the speed of one after another.
    if not resources.gpus_per_trial:
        return 1
    if speed is None:  # a whole GPU is hardly ever filled by one trial; of a part of one, nothing is known
        return MOST_MEMBERS if resources.gpus_per_trial >= 1 else 1
    return MOST_MEMBERS if speed.pack_gain >= WORTH_PACKING else 1


def _most_workers(resources: ResourcesSpec, machine: Machine, places: int) -> int:
    """Workers that the job, memory and GPUs allow, were there cores for all of them; at least one."""
    limits = [machine.memory / (BYTES_PER_WORKER * resources.shards)]
    if resources.gpus_per_trial:
        limits.append(machine.gpus / resources.gpus_per_trial)
    if resources.concurrency != "auto":
        limits = [-(-resources.concurrency // places)]
    return max(1, int(min(limits)))


def _cpus(resources: ResourcesSpec, machine: Machine, most: int, speed: MachineSpeed | None) -> float:
    """Cores of each worker: those that make the workers which fit fastest together."""
    if resources.cpus_per_trial != "auto":
        return float(resources.cpus_per_trial)
    if speed is None or resources.gpus_per_trial or resources.shards > 1:
        return float(resources.shards)
    best, best_rate = 1, 0.0
    for threads, rate in sorted(speed.threads.items()):
        workers = min(most, int(machine.cpus / threads))
        if workers * rate > best_rate * WORTH_A_THREAD:
            best, best_rate = threads, workers * rate
    return float(best)


def _memory(resources: ResourcesSpec, machine: Machine, speed: MachineSpeed | None, workers: int) -> float:
    """Bytes that the trainings of one worker may take beside its base model."""
    whole = machine.memory / workers
    if resources.gpus_per_trial and speed is not None and speed.device_bytes is not None:
        whole = speed.device_bytes * min(1.0, resources.gpus_per_trial)
    return MEMORY_SHARE * max(0.0, whole - BYTES_PER_WORKER)
