"""`preference`: which of two answers to a prompt people chose (DPO and its kin).

Names are those of TRL's `DPOConfig` where the meaning is equal. A row is a pair; the model reads it as two rows that
stay together, the chosen answer's first. Log-probabilities of the untouched base are computed once for all trials.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from workers.bounded import Location, Name, NewText, TokenId
from workers.data.rows import Rows, TaskData
from workers.data.sources import columns_of, divided, read_splits
from workers.data.tokens import Encoded
from workers.errors import InvalidInput
from workers.models.heads import CAUSAL
from workers.models.new_tokens import check_occurring
from workers.tasks.catalogue import causal_lm
from workers.tasks.catalogue.preference.rows import PairWriter, sequences
from workers.tasks.criterion import Criterion
from workers.tasks.metrics import Metric
from workers.tasks.section import DomainSection, KnowledgeSection
from workers.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PairLoss = Literal["sigmoid", "ipo", "hinge", "orpo"]
LossType = PairLoss | Literal["kto"]

_LEAST = -1e18
REWARD_ACCURACY = Metric(
    "reward_accuracy", "quality", "maximize", "", "share of pairs whose chosen answer has the higher reward", high=1
)
REWARD_MARGIN = Metric(
    "reward_margin",
    "quality",
    "maximize",
    "nats",
    "by how much the log-ratio of trained model and base is higher for chosen answers, not multiplied by β",
    low=_LEAST,
)
KL = Metric(
    "kl",
    "quality",
    "minimize",
    "nats",
    "how far the model went from the base, on a token of the answers: the mean of r - 1 - log r, r of base and model",
)
CHOSEN_LOGP = Metric(
    "chosen_logp", "quality", "maximize", "nats", "mean log-probability of the chosen answers", low=_LEAST
)
PREFERENCE_LOSS = Metric("loss", "quality", "minimize", "nats", "the task's loss at β = 0.1, of all trials alike")


class PreferenceSpec(DomainSection, KnowledgeSection):
    """The `task` section of a preference optimisation. The columns are found by their usual names."""

    path_fields: ClassVar[tuple[str, ...]] = (*KnowledgeSection.path_fields, "chat_template_path")

    type: Literal["preference"] = "preference"
    max_length: int = Field(
        default=1024, ge=4, le=8192, description="tokens of a prompt with its answer; cut at the end"
    )
    prompt: Name | None = Field(
        default=None,
        description="column of what is answered (default `prompt` where there is one; else what both sides begin with)",
    )
    chosen: Name = Field(default="chosen", description="column of the better answer: text or messages")
    rejected: Name = Field(default="rejected", description="column of the other answer")
    loss_type: LossType = Field(
        default="sigmoid",
        description="`sigmoid`: DPO; `ipo`; `hinge`: SLiC; `orpo`: odds, no base; `kto`: answers by themselves",
    )
    trainable_token_indices: tuple[TokenId, ...] = Field(
        default=(), max_length=10_000, description="tokens whose embeddings are trained beside a LoRA, by their ids"
    )
    new_tokens: tuple[NewText, ...] = Field(
        default=(), max_length=1000, description="texts that become tokens of their own, trained beside a LoRA"
    )
    unusable: Literal["refuse", "drop"] = Field(
        default="refuse", description="rows whose answers are equal or empty: refuse the job, or leave them out"
    )
    overlong: Literal["refuse", "drop"] = Field(
        default="refuse", description="rows with an answer that begins behind `max_length`: the same choice"
    )
    chat_template_path: Location | None = Field(
        default=None, description="file with a Jinja chat template, in place of the model's"
    )

    def trained_tokens(self) -> tuple[int, ...]:
        """Tokens of the model whose embeddings are trained beside the adapter."""
        return self.trainable_token_indices

    def added_tokens(self) -> tuple[str, ...]:
        """Tokens that the job adds to the model; their embeddings are trained, too."""
        return self.new_tokens

    def text_columns(self) -> tuple[str, ...]:
        """The columns that make the input."""
        return tuple(name for name in (self.prompt, self.chosen, self.rejected) if name is not None)


def read(task: PreferenceSpec, seed: int = 0) -> TaskData:
    """The pairs of a task, written as the model reads them. Raises `InvalidInput` naming the field and the row."""
    names = {"chosen": task.chosen, "rejected": task.rejected}
    present = columns_of(task.train, "train")
    prompt = task.prompt or ("prompt" if "prompt" in present else None)
    names |= {} if prompt is None else {"prompt": prompt}
    if not {task.chosen, task.rejected} & set(present) and {"completion", "label"} <= set(present):
        raise InvalidInput(
            "train",
            f"{task.train} with `completion` and `label`: single answers, marked as good or bad (unpaired, as in TRL)",
            "pairs: a good and a bad answer to one prompt, as `chosen` and `rejected` of a row; `loss_type: kto` "
            "learns from both sides of a pair",
        )
    if missing := [column for column in names.values() if column not in present]:
        found = f"{task.train} without column {', '.join(missing)}"
        raise InvalidInput(
            "train", found, f"its columns {', '.join(present)}, named by `chosen`, `rejected` and `prompt`"
        )
    columns = list(names.values())
    splits = read_splits(task, columns[1:], columns[0])
    writer = PairWriter.of(task, names)
    rows = {role: writer.pairs(parts, task.domain) for role, parts in splits.items()}
    check_occurring(task.new_tokens, rows["train"].texts)
    data = divided(task, seed, (), rows, strata=lambda rows: np.zeros(len(rows), dtype=np.int64))
    return replace(data, form="chosen-rejected" if prompt is None else "prompt-chosen-rejected")


def encode(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, loss_type: LossType = "sigmoid") -> Encoded:
    """Token ids and targets of two rows for each pair, the chosen answer's first, and of a third one for `kto`."""
    return causal_lm.encode(sequences(rows, mismatched=_together(loss_type) > 2), tokenizer, max_length)


def _together(loss_type: LossType) -> int:
    return 3 if loss_type == "kto" else 2


def pair_criterion(loss_type: LossType) -> Criterion:
    """What is wanted of the scores of rows in turn, chosen and rejected, for `kto` a mismatched one behind them."""
    from workers.tasks.catalogue.preference.losses import LOSSES, Ratios
    from workers.tasks.catalogue.preference.measure import PreferenceMeasure

    loss, together = LOSSES[loss_type], _together(loss_type)

    def summed(outputs: Any, targets: Any, hyperparameters: Any) -> Any:
        return loss(Ratios.of(outputs, targets, together), hyperparameters).sum()

    return Criterion(
        "token", summed, lambda: PreferenceMeasure(loss, together), scored=True, together=together, frozen=True
    )


TASK = Task(
    name="preference",
    summary="which of two answers to a prompt is the better one (DPO)",
    pipeline_tag="text-generation",
    section=PreferenceSpec,
    metrics=(REWARD_ACCURACY, REWARD_MARGIN, KL, CHOSEN_LOGP, PREFERENCE_LOSS),
    head=CAUSAL,
    read=read,
    encode=encode,
    criterion=lambda task, _labels: pair_criterion(task.loss_type),
    reads_model=True,
    rows_each=lambda task: _together(task.loss_type),
    encode_options=("loss_type",),
    compares_batch=lambda task: task.loss_type == "kto",
    hyperparameters=("dpo_beta",),
    example={"model": "builtin:smollm2", "train": "builtin:pyprefs", "max_length": 160, "train_rows": 300},
)
