"""What a type of task declares about itself. Imports no torch: the API and the CLI list and check tasks with it.

One type is one file in `workers/tasks/catalogue/`; see docs/adding-a-task.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from workers.data.rows import Rows, Targets, TaskData
from workers.data.tokens import Encode, Tokens
from workers.models.heads import Head
from workers.tasks.criterion import Criterion
from workers.tasks.metrics import Direction, Metric
from workers.tasks.section import TaskSection, TypeSection


@dataclass(frozen=True, kw_only=True)
class TaskType:
    """What every type of task tells of itself, whatever its trials are.

    Attributes:
        name: as jobs write it under `type`, and as Hugging Face names it where it has a name for it.
        summary: one line for lists.
        section: the `task` section of a job; its `type` is a `Literal` of `name`.
        metrics: what an evaluation measures, the primary one first; empty where jobs name metrics of their own.
        example: a section that runs on every machine.
        objectives: metrics and directions that a search usually has.
        space: what a search usually looks through.
        compared: metrics that compare evaluations at several points of a training.
        written: metrics of the answers that a model writes, measured where a trial has trained to its end, if the
            section asks for them.
        hyperparameters: names of training hyperparameters that mean something for this type alone.
        pipeline_tag: of model cards; empty where no model results.
    """

    name: str
    summary: str
    section: type[TypeSection]
    metrics: tuple[Metric, ...]
    example: Mapping[str, Any]
    objectives: tuple[tuple[str, Direction], ...] = ()
    space: Mapping[str, Any] = field(default_factory=lambda: {"preset": "lora"})
    compared: tuple[Metric, ...] = ()
    written: tuple[Metric, ...] = ()
    hyperparameters: tuple[str, ...] = ()
    pipeline_tag: str = ""

    def usual_objectives(self) -> tuple[tuple[str, Direction], ...]:
        """Metrics and directions that a search has where nothing else is said: quality, and what it costs."""
        first = tuple((metric.name, metric.direction) for metric in self.metrics[:1])
        return self.objectives or (*first, ("trainable_params", "minimize"))


@dataclass(frozen=True, kw_only=True)
class Task(TaskType):
    """One type of task whose trials train a model on data.

    Attributes:
        head: what is put on the body, and which positions it reads.
        read: from a section and a seed to rows; raises `InvalidInput` by field.
        encode: from some rows to tokens and, where tokens have targets, these.
        criterion: loss and measure, for a section and the names of the model's outputs.
        fit: of types whose targets are numbers: the criterion in a unit that follows from the training rows' targets
            `[rows]`, and from whether the head can add a constant.
        fit_rows: the same for types that look at more: from the section, the names of outputs and the training rows.
        reading: what a model card says of the outputs, where their names do not say enough.
        trains_plainly: whether `transformers.Trainer` trains on its rows as they are encoded, by the loss that it takes
            from a model, and measures the same: snippets are Trainer's then.
        encode_options: fields of the section that `encode` takes by their names.
        on_split: from the criterion, a section, the rows of a split and their tokens to the criterion of that split,
            where it compares with more than targets.
        arrange: from the rows that were read, and a seed, to those that the model reads, where these are others.
        parted: of types that join others: from a section and what was read to the data of each by itself, by its name.
        reads_model: whether `read` looks into the model's folder, for its tokenizer or chat template.
        rows_each: rows that the model reads for one of the data, as its criterion compares them; by a section.
        compares_batch: by a section, whether all rows of a batch are compared with each other, so that neither other
            trials nor other processes may share its passes.
        baselines: what needs no model and stands among the reference trials, by the name that trials have as method.
    """

    section: type[TaskSection]
    head: Head
    read: Callable[[Any, int], TaskData]
    encode: Encode
    criterion: Callable[[Any, tuple[str, ...]], Criterion]
    encode_options: tuple[str, ...] = ()
    on_split: Callable[[Criterion, Any, Rows, Tokens], Criterion] | None = None
    arrange: Callable[[Any, TaskData, int], TaskData] | None = None
    parted: Callable[[Any, TaskData], Mapping[str, TaskData]] | None = None
    reads_model: bool = False
    rows_each: Callable[[Any], int] = lambda _section: 1
    compares_batch: Callable[[Any], bool] = lambda _section: False
    baselines: tuple[str, ...] = ()
    fit: Callable[[Targets, bool], Criterion] | None = None
    fit_rows: Callable[[Any, tuple[str, ...], Tokens, bool], Criterion] | None = None
    reading: str = ""
    trains_plainly: bool = False

    def criterion_for(self, section: TaskSection, labels: tuple[str, ...], tokens: Tokens, constant: bool) -> Criterion:
        """The criterion of a section to train by on these names of outputs and training rows."""
        if self.fit_rows is not None:
            return self.fit_rows(section, labels, tokens, constant)
        return self.criterion(section, labels) if self.fit is None else self.fit(tokens.targets, constant)

    def encoding(self, section: TaskSection) -> Encode:
        """How the rows of a section are encoded."""
        options = {name: getattr(section, name) for name in self.encode_options}
        return partial(self.encode, **options) if options else self.encode

    def criterion_on(self, criterion: Criterion, section: TaskSection, rows: Rows, tokens: Tokens) -> Criterion:
        """The criterion of one split."""
        return criterion if self.on_split is None else self.on_split(criterion, section, rows, tokens)

    def rows_to_train_on(self, section: TaskSection, seed: int) -> TaskData:
        """The rows that the model reads. Raises `InvalidInput` by field."""
        data = self.read(section, seed)
        return data if self.arrange is None else self.arrange(section, data, seed)

    @property
    def primary(self) -> Metric:
        """The metric that stands for quality where a job does not say."""
        return self.metrics[0]
