"""What a worker process keeps between trials: base models, tokenised data, stored hidden states, artifacts."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
import transformers

from workers.artifacts import ArtifactStore
from workers.assignment import PrecisionChoice, Quantisation, Split
from workers.data.demonstrations import Bank, before_rows
from workers.data.domains import domain_column
from workers.data.rows import Rows, TaskData
from workers.data.tokens import TokenisedData, Tokens, check_tokens, shared_tokens, tokenise, windows
from workers.data.transforms import PLAIN, Transforms, transformed
from workers.engines.inputs import Inputs
from workers.engines.precision import Precision
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.errors import InvalidInput
from workers.generation.evaluation import Written
from workers.generation.judging.scoring import Bench
from workers.methods.attached import Attached
from workers.models.description import describe_for
from workers.models.half_precision import hold_in_bfloat16
from workers.models.heads import SEQUENCE, Head
from workers.models.loading import Base, load_base, load_processor
from workers.running import latency
from workers.tasks.domains import by_domain
from workers.tasks.registry import task_of
from workers.tasks.section import TaskSection

if TYPE_CHECKING:
    from workers.running.knowledge import Knowledge

_Value = TypeVar("_Value")

GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class PreparedData:
    """A task's data, ready for batches."""

    tokens: TokenisedData
    train: Inputs
    validation: Inputs
    test: Inputs | None
    pairs: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)  # second texts of each split
    bank: Bank | None = None  # what stands before each of its texts
    make_pool: Callable[[], Tokens] | None = None  # rows whose targets nobody knows
    make_trusted: Callable[[], Tokens] | None = None  # rows that are known to be right
    content_hash: str = ""  # of the rows as they were read, before they are transformed

    def on(self, device: str) -> PreparedData:
        """The same rows on another device."""
        test = None if self.test is None else self.test.on(device)
        return replace(self, train=self.train.on(device), validation=self.validation.on(device), test=test)

    @property
    def pool(self) -> Tokens | None:
        """Rows whose targets nobody knows, encoded when they are first asked for: few trials read them."""
        return None if self.make_pool is None else self.make_pool()

    @property
    def trusted(self) -> Tokens | None:
        """Rows that are known to be right, encoded likewise."""
        return None if self.make_trusted is None else self.make_trusted()

    @property
    def typical_tokens(self) -> int:
        """The length that latency is measured at: the median row's, of rows that lead (queries) the median of these."""
        leading = self.validation.criterion.leading
        return int(np.median(self.validation.lengths[:leading] if leading else self.validation.lengths))

    def split(self, name: Split) -> Inputs:
        """The rows that a trial is evaluated on. Raises `InvalidInput` when the task has no such rows."""
        inputs = self.validation if name == "validation" else self.test
        if inputs is None:
            raise InvalidInput("test", None, "a data source, or a fraction of `train`: there are no rows to confirm on")
        return inputs


@dataclass
class Workbench:
    """Everything expensive that trials of one process share.

    Attributes:
        home: folder for caches that all processes of a machine share.
        artifacts: where adapters and checkpoints go.
        prefix_bytes: limit of the store of hidden states.
        precision: number format of the fast engine's training steps; `auto` measures once per process.
        device: where models train, `cpu` or `cuda`.
        kept: how many bases and how many data sets stay loaded; the one used longest ago goes first.
        latency_clock: seconds by which latency is measured. Processor time, of a process with one thread, shows what
            wall clock would on a quiet machine.
        programs: folders whose code of jobs may be run, metrics among it.
        judges: addresses that answers may be sent to, as the operator lists them.
        known: what bases can do with the knowledge of jobs, of the job that was last at it.
        judged: answers of the base with what judges said of them, of the job that was last at it.
        interrupted: whether this process has to end soon: trials then stop behind their present step.
    """

    home: Path
    artifacts: ArtifactStore
    prefix_bytes: int = 8 * GIBIBYTE
    precision: PrecisionChoice = "fp32"
    kept: int = 2
    device: str = "cpu"
    latency_clock: Callable[[], float] = time.perf_counter
    programs: tuple[str, ...] = ()
    judges: str = "off"
    known: dict[Hashable, Knowledge] = field(default_factory=dict, repr=False)
    judged: dict[str, Written] = field(default_factory=dict, repr=False)
    interrupted: Callable[[], bool] = lambda: False
    _bases: dict[Hashable, ResidentBase] = field(default_factory=dict, repr=False)
    _data: dict[Hashable, PreparedData] = field(default_factory=dict, repr=False)
    _rows: dict[Hashable, TaskData] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.prefixes = PrefixStore(self.home / "cache" / "prefixes", self.prefix_bytes)

    def data(self, task: TaskSection, seed: int, transforms: Transforms = PLAIN) -> PreparedData:
        """The task's data, split, sampled and transformed with `seed`.

        Raises `InvalidInput` naming the field.
        """
        key = (task.model_dump_json(), seed, transforms)
        return self._resident(self._data, key, lambda: self._prepare(task, seed, transforms))

    def base(
        self,
        reference: str,
        labels: int,
        quantise: Quantisation | None = None,
        kind: Head = SEQUENCE,
        half: bool = False,
        added_tokens: tuple[str, ...] = (),
    ) -> ResidentBase:
        """The frozen model with a head of this kind for `labels` outputs, with `half` in bfloat16, and rows for tokens
        that a job adds.

        Raises `InvalidInput`.
        """

        def load() -> ResidentBase:
            base = load_base(reference, labels, self.device, quantise, kind, added_tokens)
            return ResidentBase.of(hold_in_bfloat16(base) if half else base)

        return self._resident(self._bases, (reference, labels, quantise, kind, half, added_tokens), load)

    def judging(self) -> Bench:
        """What judges of answers are asked with."""
        return Bench(self.programs, self.judges, self.home, self.interrupted)

    def clear(self) -> None:
        """Forget base models and data; whoever needs them next loads them again."""
        self._bases.clear()
        self._data.clear()
        self._rows.clear()

    def base_latency(self, resident: ResidentBase, tokens: int) -> dict[str, float]:
        """Latency metrics of the plain base for one length, measured once for all processes of the machine.

        Call it while the base carries no adapter.
        """
        base, clock = resident.base, self.latency_clock
        kind = getattr(clock, "__qualname__", type(clock).__qualname__)
        where = tuple(sorted(environment("fp32", self.device).items()))
        return self.once(
            "latency",
            (resident.weights_hash, tokens, kind, where),
            lambda: {
                name: latency.milliseconds(base.model, base.description.anatomy, rows, tokens, clock)
                for name, rows in latency.ROWS.items()
            },
        )

    def once(self, kind: str, key: tuple[object, ...], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `measure` gives, from the cache of its `kind` once any process of this machine has measured it."""
        return latency.kept_for_machine(self.home / "cache" / kind, key, measure)

    def latency_over_base(self, attached: Attached, base: Base, tokens: int) -> dict[str, latency.Ratio]:
        """How much longer passes take with the adapter than without, by the metric of the pass."""
        anatomy, clock = base.description.anatomy, self.latency_clock
        return {
            name: latency.times_longer(attached.model, base.model, attached.without, anatomy, rows, tokens, clock)
            for name, rows in latency.ROWS.items()
        }

    def _prepare(self, task: TaskSection, seed: int, transforms: Transforms) -> PreparedData:
        kind = task_of(task)
        processor = load_processor(task.model, kind.head, task.added_tokens())
        plain = self._plain(task, seed, transforms)
        bank = transforms.bank(plain, task.max_length)
        rows = transformed(plain, transforms, bank, seed, processor)
        tokens = shared_tokens(rows, processor, task.max_length, kind.encoding(task), self.home / "cache")
        anatomy = describe_for(task).anatomy
        check_tokens(tokens, processor, anatomy.vocabulary)
        criterion = kind.criterion_for(task, tokens.labels, tokens.train, anatomy.head_adds_constant)

        def inputs(split: Tokens, of: Rows, measured: bool = True) -> Inputs:
            own = kind.criterion_on(criterion, task, of, split)
            if measured and domain_column(task) is not None and of.judged is None:  # rankings tell queries apart
                own = by_domain(own, of, split, kind.primary)
            return Inputs(split, tokens.pad_token_id, own, self.device)

        test = None if tokens.test is None or rows.test is None else inputs(tokens.test, rows.test)
        pairs: dict[str, tuple[str, ...] | None] = {
            "train": rows.train.pairs,
            "validation": rows.validation.pairs,
            "test": None if rows.test is None else rows.test.pairs,
        }
        learnt, of = tokens.train, rows.train
        if window := task.training_window():
            learnt, whole = windows(learnt, window)
            of, tokens = of.take(whole), replace(tokens, train=learnt)
        train, validation = inputs(learnt, of, measured=False), inputs(tokens.validation, rows.validation)
        pool, trusted = (
            None if rows is None else cache(partial(_encoded_beside, task, rows, bank, processor))
            for rows in (plain.pool, plain.trusted)
        )
        return PreparedData(tokens, train, validation, test, pairs, bank, pool, trusted, plain.content_hash)

    def _plain(self, task: TaskSection, seed: int, transforms: Transforms) -> TaskData:
        """The rows as they were read. They stay where a configuration transforms them: the next one will, too."""
        key = (task.model_dump_json(), seed)
        if transforms == PLAIN and key not in self._rows:
            return task_of(task).rows_to_train_on(task, seed)
        return self._resident(self._rows, key, lambda: task_of(task).rows_to_train_on(task, seed))

    def _resident(self, held: dict[Hashable, _Value], key: Hashable, load: Callable[[], _Value]) -> _Value:
        value = held.pop(key) if key in held else load()
        held[key] = value  # the most recently used is the last
        while len(held) > self.kept:
            held.pop(next(iter(held)))
        return value


def _encoded_beside(task: TaskSection, beside: Rows, bank: Bank | None, processor: Any) -> Tokens:
    """Rows of a pool, or trusted ones, behind what they are shown, as a teacher reads them."""
    rows = beside if bank is None else before_rows(beside, bank, processor)
    return tokenise(rows, processor, task.max_length, task_of(task).encoding(task))


def environment(precision: Precision, device: str = "cpu") -> dict[str, str]:
    """What numbers of a trial may depend on besides its assignment."""
    gpu = {} if device == "cpu" else {"gpu": torch.cuda.get_device_name()}
    return gpu | {
        "precision": precision,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": str(torch.get_num_threads()),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
