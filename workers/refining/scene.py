"""What every step works with: the prepared task, the adapters it was given, and quality on the validation rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from workers.artifacts import ArtifactStore
from workers.assignment import Outcome
from workers.engines.course import Ending, OnReport
from workers.engines.frozen import beside_base
from workers.engines.inputs import Inputs
from workers.hyperparameters import split_config
from workers.methods.attached import AdapterCard, Attached, TrainingSetup
from workers.methods.compressed import weights_of
from workers.methods.registry import method
from workers.models.description import with_texts
from workers.models.loading import Base
from workers.refining.spec import RefineAssignment, Source
from workers.running.label_unit import from_label_unit, in_training_unit
from workers.running.outcome import outcome_of
from workers.running.outputs import outputs_of
from workers.running.preparing import PreparedTrial
from workers.running.trial import choose_engine, trainee_on
from workers.running.workbench import Workbench

UNTRAINED = Ending("completed", 0.0, 0.0)
Tensors = dict[str, Tensor]
Quality = dict[str, float]


@dataclass(frozen=True)
class Stored:
    """A stored adapter that was read: method, knobs, seed and the tensors of its export."""

    method: str
    knobs: dict[str, Any]
    seed: int
    tensors: Tensors


@dataclass(frozen=True)
class Scene:
    """One trial of a refine job. `prepared` is of the result's configuration."""

    given: RefineAssignment
    prepared: PreparedTrial
    workbench: Workbench
    on_report: OnReport

    @property
    def base(self) -> Base:
        """The frozen model, without an adapter between steps."""
        return self.prepared.resident.base

    def stored(self) -> list[Stored]:
        """The adapters to work on, best first. Raises `ValueError` for one that does not fit the task's model."""
        return [self._read(source) for source in self.given.sources]

    def _read(self, source: Source) -> Stored:
        name, given, _ = split_config(source.config)
        knobs = method(name).complete(with_texts(self.base.description, self.given.task.max_length), given)
        with source_folder(source, self.workbench.artifacts) as folder:
            return Stored(name, knobs, source.seed, weights_of(folder, self.base))

    def of(self, stored: Stored) -> Scene:
        """The same scene with the method and knobs of a stored adapter in place of the result's."""
        return replace(self, prepared=replace(self.prepared, method=method(stored.method), knobs=stored.knobs))

    def quality_of(self, stored: Stored) -> Quality:
        """What a stored adapter reaches on the validation rows as it is."""
        own = self.of(stored)
        with own.attached(stored.seed) as attached, own.measuring(attached) as measured:
            return measured(stored.tensors)

    def setup(self) -> TrainingSetup:
        """Training rows for what looks at data without training on it; outputs are those of an export, whose head
        predicts labels in their own unit."""
        data, seed = self.prepared.data.train, self.given.seed
        outputs = outputs_of(data.criterion)
        return TrainingSetup(
            0,
            lambda size: data.labelled_batches(size, seed),
            data.criterion.mean_loss,
            lambda model, batch: in_training_unit(outputs(model, batch), data.criterion),
        )

    @contextmanager
    def attached(self, seed: int) -> Iterator[Attached]:
        """The result's adapter on the base, as it starts from `seed`."""
        attached = self.prepared.method.attach(self.base, self.prepared.knobs, seed, None)
        try:
            for parameter in attached.parameters().values():
                parameter.data = parameter.data.float()
            yield attached
        finally:
            attached.detach()

    def put(self, attached: Attached, tensors: Mapping[str, Tensor]) -> None:
        """Give the adapter the tensors of an export."""
        attached.load(tensors)
        from_label_unit(attached, self.prepared.data.train.criterion)

    @contextmanager
    def measuring(self, attached: Attached) -> Iterator[Callable[[Mapping[str, Tensor]], Quality]]:
        """Inside, a function from the tensors of an export to their quality on the validation rows."""
        with self._measure(attached, self.prepared.evaluated) as evaluate:

            def measured(tensors: Mapping[str, Tensor]) -> Quality:
                self.put(attached, tensors)
                return evaluate()

            yield measured

    def on_test(self, attached: Attached) -> Quality:
        """Quality on the test rows as `test_…`, where the task has some: nothing is ever chosen by it."""
        rows = self.prepared.data.test
        if rows is None:
            return {}
        with self._measure(attached, beside_base(self.prepared.resident, rows, self.workbench.prefixes)) as evaluate:
            return {f"test_{name}": value for name, value in evaluate().items()}

    @contextmanager
    def _measure(self, attached: Attached, rows: Inputs) -> Iterator[Callable[[], Quality]]:
        engine, _ = choose_engine(self.prepared)
        with trainee_on(engine, replace(self.prepared, evaluated=rows), attached, None, self.workbench) as trainee:
            yield trainee.evaluate

    def loss(self, quality: Quality) -> tuple[float, float]:
        """What to minimise in choosing: the criterion, and at equal values the loss."""
        value = quality[self.given.criterion]
        return (-value if self.given.maximize else value, quality["loss"])

    def outcome(
        self,
        attached: Attached,
        metrics: Mapping[str, float],
        save: Callable[[Path, AdapterCard], None] | None = None,
        trained: Ending = UNTRAINED,
    ) -> Outcome:
        """The outcome of a step that is done, which `trained` so if it did."""
        ending = replace(trained, metrics=dict(metrics) | self.on_test(attached))
        return outcome_of(self.prepared, ending, attached, *choose_engine(self.prepared), self.workbench, save=save)


@contextmanager
def source_folder(source: Source, artifacts: ArtifactStore) -> Iterator[Path]:
    """The folder of a stored adapter."""
    if source.artifact is None:
        yield Path(str(source.folder))
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield artifacts.extract(source.artifact.sha256, Path(scratch) / "adapter")
