"""The Ray actor that trains trials: reports stream out while decisions and further trials come in.

Whoever dispatches imports this module for the actor's class only, so torch is imported in the actor, not here.
"""

from __future__ import annotations

import ctypes
import gc
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group

from workers import tracing
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Decision, Outcome, PrecisionChoice, Report
from workers.programs.assignment import ProgramAssignment
from workers.programs.trial import ProgramBench, run_program
from workers.proxies.spec import ProxyAssignment
from workers.refining.spec import RefineAssignment
from workers.running.packing import Arrivals
from workers.running.traced import begin_trial, end_trial

GIBIBYTE = 1 << 30
DECISION_WITHIN = 30.0
"""Seconds that a trial stands still for its scheduler; a service that does not answer must not end its trainings."""
Item = Report | Outcome | PlacementGroup
Work = Assignment | ProgramAssignment | ProxyAssignment


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker process is started with.

    `home` holds caches that the processes of a machine share; `artifacts` is a folder or fsspec URL that the service
    reads too; `threads` are those of each training step (as a rule the actor's `num_cpus`), `cores` what each rank
    of a sharded trial occupies; models train on
    `device` (`cpu`, or `cuda` for an actor with `num_gpus`); `precision` is the fast
    engine's number format, which `auto` decides by a measurement when the worker starts. Code of users is run from
    the folders `programs` alone, and answers are sent to the addresses `judges` alone.
    """

    home: str
    artifacts: str
    threads: int = 1
    cores: float = 1.0
    device: str = "cpu"
    prefix_bytes: int = 8 * GIBIBYTE
    precision: PrecisionChoice = "auto"
    programs: tuple[str, ...] = ()
    judges: str = "off"


@ray.remote(concurrency_groups={"control": 1, "reports": 1}, max_concurrency=1)  # type: ignore[call-overload]  # ray's types know neither
class TrialWorker:
    """Trains one trial at a time, or a pack of them, and keeps its base model and data between them.

    A trial or a pack on a sharded base is trained by processes of its own (`workers.running.sharded_trial`); the actor
    passes reports and decisions on and needs no cores for that. It is ended by `worker.end.remote()`: were it killed,
    what its ranks occupy would stay reserved. Its stream tells the `PlacementGroup` that holds them, for the case that
    it dies.

    Dispatch with `worker.train.options(num_returns="streaming").remote(assignments, places)`: every item is a `Report`
    or an `Outcome`; the stream ends when every trial has its outcome. With more than one place the trials form a pack,
    and `worker.board.remote(assignment)` sends another one after them while it runs. `worker.signal.remote(trial_id,
    decision)` reaches a trial while it runs; the decision takes effect at its next report. A trial that
    `awaits_decision` stands still after each report but its last until `worker.answer.remote(trial_id, attempt, step,
    decision)` has come, so that it ends at the report that condemns it. `worker.leave.remote()` ends all of them as
    `interrupted`.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        import torch

        import workers.running.trial  # noqa: F401  # everything that training needs, before there is a trial to wait for it
        from workers.engines.precision import choose
        from workers.proxies.trial import ProxyBench
        from workers.running.workbench import Workbench

        torch.set_num_threads(settings.threads)
        tracing.begin("worker")
        self._settings = settings
        self._workbench = Workbench(
            Path(settings.home),
            ArtifactStore(settings.artifacts),
            settings.prefix_bytes,
            choose(settings.precision, settings.device),
            device=settings.device,
            programs=settings.programs,
            judges=settings.judges,
        )
        self._proxies = ProxyBench(Path(settings.home), self._workbench.artifacts, settings.device)
        self._leaving = threading.Event()
        self._workbench.interrupted = self._leaving.is_set
        self._programs = ProgramBench(self._workbench.artifacts, settings.programs, settings.threads)
        self._signals: dict[str, Decision] = {}
        self._awaiting: dict[tuple[str, int], float] = {}  # epochs of the attempts that stand still for a decision
        self._answers: dict[tuple[str, int], tuple[int, Decision]] = {}  # by attempt: the step and what it leads to
        self._spans: dict[tuple[str, int], tracing.Span] = {}  # of the attempts under way
        self._lock = threading.Condition()
        self._arrivals = Arrivals()
        self._stream: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()
        self._ranks: PlacementGroup | None = None
        self._ended = False
        self._members: set[str] = set()  # trials of a pack without an outcome
        self._last: Outcome | None = None  # of a sharded pack, held until its ranks have ended

    def train(self, assignments: Sequence[Work], places: int = 1) -> Iterator[Item]:
        """Train one trial, or with more than one place a pack; see the class."""
        self._arrivals, self._ranks = Arrivals(), None
        self._members, self._last = {assignment.trial_id for assignment in assignments}, None
        stream = self._stream = queue.SimpleQueue()
        self._expect(assignments)

        def outcomes() -> Iterator[Outcome]:
            from workers.running.trial_pack import train_pack

            if places > 1 and isinstance(assignments[0], Assignment) and assignments[0].shards > 1:
                from workers.running.sharded_trial import train_sharded_pack  # Ray Train, which others do without

                this = ray.get_runtime_context().current_actor
                return train_sharded_pack(assignments, self._settings, this, places)  # type: ignore[arg-type]  # as below
            if places > 1:
                return train_pack(assignments, self._workbench, self._told, places, self._arrivals)  # type: ignore[arg-type]  # proxies are never packed
            return (self._train_alone(assignment) for assignment in assignments)

        def run() -> None:
            end: BaseException | None = None
            try:
                for outcome in outcomes():
                    stream.put(outcome)
            except BaseException as error:  # raised again where Ray sees it
                end = error
            self._hand_over_last()
            stream.put(end)

        # The training loop calls back, a stream is pulled: a thread and a queue turn one into the other.
        thread = threading.Thread(target=run, name=f"trial {assignments[0].trial_id}")
        thread.start()
        try:
            while (item := stream.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, Outcome):
                    self._forget(item)
        finally:
            thread.join()

    def _train_alone(self, assignment: Work) -> Outcome:
        from workers.proxies.trial import train_proxy
        from workers.running.trial_pack import train_by_itself

        if isinstance(assignment, ProxyAssignment):
            return train_proxy(assignment, self._proxies, self._told)
        if isinstance(assignment, RefineAssignment):
            from workers.refining.trial import refine

            return refine(assignment, self._workbench, self._told)
        if isinstance(assignment, ProgramAssignment):
            return run_program(assignment, self._programs, self._told)
        if assignment.shards > 1:
            from workers.running.sharded_trial import train_sharded  # Ray Train, which other trials do without

            return train_sharded(assignment, self._settings, ray.get_runtime_context().current_actor)
        return train_by_itself(assignment, self._workbench, self._told)

    @ray.method(concurrency_group="control")
    def board(self, assignment: Assignment) -> bool:
        """Let a trial join the pack that runs, as soon as it has a place; False when no pack does (any more)."""
        self._expect([assignment])
        if aboard := self._arrivals.add(assignment):
            with self._lock:
                self._members.add(assignment.trial_id)
            self._hand_over_last()
        else:
            self._spans.pop((assignment.trial_id, assignment.attempt), None)
        return aboard

    @ray.method(concurrency_group="control")
    def place(self, ranks: PlacementGroup) -> bool:
        """The ranks of a sharded trial have their cores and GPUs; False when nobody wants the trial any more."""
        with self._lock:
            self._ranks = ranks
        self._stream.put(ranks)
        return not self._ended

    @ray.method(concurrency_group="control")
    def end(self) -> None:
        """End the ranks of a sharded trial, whatever they do, and give back what they occupy."""
        with self._lock:
            self._ended = True
        if self._ranks is not None:
            remove_placement_group(self._ranks)

    @ray.method(concurrency_group="reports")  # it may wait for an answer, which must not wait behind it
    def tell(self, report: Report) -> Decision:
        """Take the report of a sharded trial from its first rank; what is to become of the trial."""
        return self._told(report)

    @ray.method(concurrency_group="reports")
    def ended(self, outcome: Outcome) -> None:
        """Take the outcome of a trial of a sharded pack from its first rank.

        The last one is held: whoever has all outcomes takes the worker for idle, and might end it while its ranks,
        which are about to end, occupy their cores still.
        """
        with self._lock:
            self._members.discard(outcome.trial_id)
            if not self._members:
                self._last = outcome
                return
        self._stream.put(outcome)

    def _hand_over_last(self) -> None:
        with self._lock:
            last, self._last = self._last, None
        if last is not None:
            self._stream.put(last)

    @ray.method(concurrency_group="control")
    def news(self) -> tuple[bool, bool]:
        """What a sharded pack asks behind each step: whether to leave, and whether a trial waits to come aboard."""
        return self._leaving.is_set(), self._arrivals.waiting

    @ray.method(concurrency_group="control")
    def arrival(self) -> Assignment | None:
        """The trial that has waited longest to come aboard a sharded pack, if any waits."""
        return self._arrivals.take()

    @ray.method(concurrency_group="control")
    def close_pack(self) -> bool:
        """A sharded pack takes no more, unless a trial waits (then False)."""
        return self._arrivals.close()

    @ray.method(concurrency_group="control")
    def signal(self, trial_id: str, decision: Decision) -> None:
        """Stop or pause a trial at its next report. A signal for a trial that is not running waits for it."""
        with self._lock:
            self._signals[trial_id] = decision
            self._lock.notify_all()

    @ray.method(concurrency_group="control")
    def answer(self, trial_id: str, attempt: int, step: int, decision: Decision) -> None:
        """What the scheduler makes of the report of `step`."""
        with self._lock:
            self._answers[trial_id, attempt] = (step, decision)
            self._lock.notify_all()

    @ray.method(concurrency_group="control")
    def leave(self) -> None:
        """End every trial behind its present step as `interrupted`, with a checkpoint; none begins any more."""
        with self._lock:
            self._leaving.set()
            self._lock.notify_all()

    @ray.method(concurrency_group="control")
    def leaving(self) -> bool:
        """Whether it was asked to leave."""
        return self._leaving.is_set()

    def rest(self) -> None:
        """Give back the base models and data that are kept between trials; the next trial loads what it needs."""
        self._workbench.clear()
        self._proxies.clear()
        _give_back_memory()

    @ray.method(concurrency_group="control")
    def ping(self) -> bool:
        """True as soon as the worker is up."""
        return True

    def _told(self, report: Report) -> Decision:
        self._stream.put(report)
        attempt = report.trial_id, report.attempt
        with self._lock:
            if (span := self._spans.get(attempt)) is not None:
                span.tell("report", {"step": report.step, "epoch": report.epoch})
            if report.epoch < self._awaiting.get(attempt, 0.0):
                self._lock.wait_for(lambda: self._heard(report), DECISION_WITHIN)
            _, answer = self._answers.get(attempt, (0, "continue"))
            return self._signals.get(report.trial_id, answer)

    def _heard(self, report: Report) -> bool:
        """Whether it is known what becomes of the trial behind this report, or there is no time to wait for that."""
        if self._leaving.is_set():
            return True
        step, answer = self._answers.get((report.trial_id, report.attempt), (0, "continue"))
        return report.trial_id in self._signals or step >= report.step or answer != "continue"

    def _expect(self, assignments: Sequence[Work]) -> None:
        with self._lock:
            for each in assignments:
                self._spans[each.trial_id, each.attempt] = begin_trial(each)
                if isinstance(each, Assignment | ProgramAssignment) and each.awaits_decision:
                    self._awaiting[each.trial_id, each.attempt] = each.epochs - 1e-6

    def _forget(self, outcome: Outcome) -> None:
        attempt = outcome.trial_id, outcome.attempt
        with self._lock:
            self._signals.pop(outcome.trial_id, None)
            self._awaiting.pop(attempt, None)
            self._answers.pop(attempt, None)
            span = self._spans.pop(attempt, None)
        if span is not None:
            end_trial(span, outcome)


def _give_back_memory() -> None:
    """What nobody refers to any more, to the operating system: the C library would keep it for itself."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
