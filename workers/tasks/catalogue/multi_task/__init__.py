"""`multi-task`: several tasks on one backbone, each with outputs of its own in one head.

The head reads every token, and its outputs lie side by side: those of one task are columns that no row of another
task's has a part in, so no gradient of another reaches them. Texts are read at one token, words at their first
sub-words, answers where they begin and end. Everything else of the backbone's adapter is shared.
"""

from __future__ import annotations

from workers.data.rows import Rows
from workers.data.tokens import Tokens
from workers.models.heads import TOKEN
from workers.tasks.catalogue.multi_task.rows import encode, of_each, read
from workers.tasks.catalogue.multi_task.section import MultiTaskSpec
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_regression import TASK as REGRESSION
from workers.tasks.catalogue.token_classification import TASK as TOKENS
from workers.tasks.criterion import Criterion
from workers.tasks.metrics import Metric
from workers.tasks.task import Task

MEAN = Metric("mean", "quality", "maximize", "", "the mean over tasks of each one's first metric", low=-1, high=1)
WORST = Metric("worst", "quality", "maximize", "", "the first metric of the task where it is worst", low=-1, high=1)
MEAN_LOSS = Metric("loss", "quality", "minimize", "", "the mean over tasks of each one's own loss")


def _criterion(section: MultiTaskSpec, labels: tuple[str, ...]) -> Criterion:
    from workers.tasks.catalogue.multi_task.criterion import fitted

    return fitted(section, labels)


def _fitted(section: MultiTaskSpec, labels: tuple[str, ...], tokens: Tokens, constant: bool) -> Criterion:
    from workers.tasks.catalogue.multi_task.criterion import fitted

    return fitted(section, labels, tokens, constant)


def _on_split(criterion: Criterion, section: MultiTaskSpec, rows: Rows, tokens: Tokens) -> Criterion:
    from workers.tasks.catalogue.multi_task.criterion import on_split

    return on_split(criterion, section, rows, tokens)


TASK = Task(
    name="multi-task",
    summary="several tasks of texts on one backbone, each with outputs of its own",
    pipeline_tag=TOKENS.pipeline_tag,
    section=MultiTaskSpec,
    metrics=(MEAN, WORST, MEAN_LOSS),
    objectives=(("mean", "maximize"), ("worst", "maximize")),
    space={
        "preset": "lora",
        "parameters": [{"type": "float", "name": "task_sampling", "low": 0.0, "high": 1.0}],
    },
    hyperparameters=("task_sampling", "task_weights"),
    head=TOKEN,
    read=read,
    parted=of_each,
    encode=encode,
    criterion=_criterion,
    fit_rows=_fitted,
    on_split=_on_split,
    reading="The name in front of a colon is that of the task. Outputs for texts are those of their first token (of "
    "decoders, of the last), outputs for words those of each word's first token. Those for answers, `start` and "
    "`end`, are read at every token of a context.",
    example={
        "model": "builtin:minilm",
        "max_length": 64,
        "train_rows": 600,
        "tasks": {
            "kind": {"type": CLASSIFICATION.name, "train": "builtin:pydocs"},
            "length": {"type": REGRESSION.name, "train": "builtin:pydocs", "label": "log2_words"},
            "names": {"type": TOKENS.name, "train": "builtin:pytokens"},
        },
    },
)
