"""`causal-lm`: text that goes on from a text: answers of an assistant, completions of prompts, or plain text.

Names are those of TRL's `SFTConfig` where the meaning is equal. What is learnt is the answers alone unless the job says
otherwise, each with the token that ends it. A token's target stands at the position before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field, model_validator

from workers.bounded import Location, Name, NewText, TokenId
from workers.data.chat.forms import MESSAGES, PAIR, TEXT, Form, form_of
from workers.data.chat.template import chat_template, special_tokens
from workers.data.chat.writing import Writer, learnt_pieces
from workers.data.demonstrations import apart
from workers.data.rows import Rows, TaskData
from workers.data.sources import columns_of, divided, read_beside, read_splits
from workers.data.tokens import Encoded
from workers.errors import InvalidInput
from workers.generation.judging.section import Judge, check_judges
from workers.generation.section import WRITTEN, GenerationSpec
from workers.models.heads import CAUSAL
from workers.models.new_tokens import check_occurring, extend, new_tokens
from workers.models.references import resolve
from workers.models.vocabulary import check_tokenizer
from workers.tasks.criterion import IGNORED, Criterion
from workers.tasks.metrics import Metric
from workers.tasks.section import DomainSection, TrustedSection
from workers.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NATS = Metric("loss", "quality", "minimize", "nats", "mean cross-entropy of the tokens that are learnt")
PERPLEXITY = Metric("perplexity", "quality", "minimize", "", "e to the power of the loss")
TOKEN_ACCURACY = Metric("token_accuracy", "quality", "maximize", "", "share of tokens that are the likeliest", high=1)


class CausalLMSpec(DomainSection, TrustedSection):
    """The `task` section of a fine-tuning of a language model. The columns are found by their usual names."""

    path_fields: ClassVar[tuple[str, ...]] = (*TrustedSection.path_fields, "chat_template_path")

    type: Literal["causal-lm"] = "causal-lm"
    max_length: int = Field(default=1024, ge=4, le=8192, description="tokens; longer rows are cut at their end")
    train_length: int | None = Field(
        default=None, ge=4, le=8192, description="training rows are cut into windows of so many tokens, others are not"
    )
    messages: Name | None = Field(default=None, description="column of conversations: a list of `role` and `content`")
    prompt: Name | None = Field(
        default=None, description="column of what is read, a text or messages; needs `completion`"
    )
    completion: Name | None = Field(default=None, description="column of what is written behind the prompt")
    text: Name | None = Field(default=None, description="column of plain texts, every token of which is learnt")
    assistant_only_loss: bool = Field(default=True, description="of messages, learn the assistant's turns alone")
    completion_only_loss: bool = Field(default=True, description="of a prompt and its completion, learn that alone")
    chat_template_path: Location | None = Field(
        default=None, description="file with a Jinja chat template, in place of the model's"
    )

    overlong: Literal["refuse", "drop"] = Field(
        default="refuse", description="rows whose answer begins behind `max_length`: refuse the job, or leave them out"
    )

    trainable_token_indices: tuple[TokenId, ...] = Field(
        default=(), max_length=10_000, description="tokens whose embeddings are trained beside a LoRA, by their ids"
    )
    new_tokens: tuple[NewText, ...] = Field(
        default=(), max_length=1000, description="texts that become tokens of their own, trained beside a LoRA"
    )
    generation: GenerationSpec | None = Field(
        default=None, description="answers to held-out rows, written and scored at the end of each training"
    )

    judges: tuple[Judge, ...] = Field(
        default=(),
        max_length=20,
        description="metrics of your own, measured where a trial has trained to its end and in `confirm`",
    )

    @model_validator(mode="after")
    def _windows_are_shorter(self) -> CausalLMSpec:
        if self.train_length is not None and self.train_length > self.max_length:
            raise ValueError(f"train_length: found {self.train_length}; allowed: at most max_length, {self.max_length}")
        return self

    @model_validator(mode="after")
    def _one_form(self) -> CausalLMSpec:
        given = [name for name in ("messages", "prompt", "completion", "text") if getattr(self, name) is not None]
        if given not in ([], ["messages"], ["prompt", "completion"], ["text"]):
            raise ValueError(f"found {' and '.join(given)}; allowed: messages, or prompt and completion, or text")
        return self

    @model_validator(mode="after")
    def _answers_are_told_apart(self) -> CausalLMSpec:
        if self.generation is not None and not (self.assistant_only_loss and self.completion_only_loss):
            raise ValueError(
                "generation: found with a loss on prompts; allowed: one on answers alone, which says where they begin"
            )
        return self

    def trained_tokens(self) -> tuple[int, ...]:
        """Tokens of the model whose embeddings are trained beside the adapter."""
        return self.trainable_token_indices

    def added_tokens(self) -> tuple[str, ...]:
        """Tokens that the job adds to the model; their embeddings are trained, too."""
        return self.new_tokens

    def training_window(self) -> int | None:
        """Tokens of the windows that training rows are cut into; None where they stay whole."""
        return self.train_length

    @model_validator(mode="after")
    def _judges_have_answers(self) -> CausalLMSpec:
        check_judges(self.judges, answered=self.generation is not None)
        if self.generation is not None and not (self.generation.metrics or self.judges):
            raise ValueError("generation.metrics: found none; allowed: at least one, or `judges` of the answers")
        return self

    def written_metrics(self) -> tuple[str, ...]:
        """Metrics that are there at a trial's end alone: of written answers, and of the job's own."""
        own = (*super().written_metrics(), *(metric.name for metric in self.judged_metrics()))
        return own if self.generation is None else (*self.generation.metrics, *own)

    def judged_metrics(self) -> tuple[Metric, ...]:
        """Metrics of the job's own, but those of `confirm` alone."""
        return tuple(one.metric for one in self.judges if not one.confirm_only)

    def confirmed_metrics(self) -> tuple[Metric, ...]:
        """Metrics of the job's own that confirmations alone are measured by."""
        return tuple(one.metric for one in self.judges if one.confirm_only)

    def text_columns(self) -> tuple[str, ...]:
        """The columns that the job names; none where they are found by their usual names."""
        return tuple(name for name in (self.messages, self.prompt, self.completion, self.text) if name is not None)


def read(task: CausalLMSpec, seed: int = 0) -> TaskData:
    """The rows of a task, written as the model reads them. Raises `InvalidInput` naming the field and the row."""
    form, names = _columns(task)
    tests = None if task.generation is None else task.generation.tests
    if task.generation is not None and form is TEXT:
        raise InvalidInput(
            "generation",
            f"plain texts of column {names['text']!r}, in which no answer begins",
            f"messages, or prompts and completions: `prompt` and `completion` name columns (of {_listed(task)})",
        )
    columns = [*names.values(), *([] if tests is None else [tests])]
    splits = read_splits(task, columns[1:], columns[0])
    only = task.completion_only_loss if form is PAIR else task.assistant_only_loss
    writer = writer_of(task, form, names, only)
    rows = {role: writer.rows(parts, tests, task.domain) for role, parts in splits.items()}
    check_occurring(task.new_tokens, rows["train"].texts)
    data = divided(task, seed, (), rows, strata=lambda rows: np.zeros(len(rows), dtype=np.int64))
    data = replace(data, form=form.name)
    if task.trusted is None:
        return data
    own = writer.rows(read_beside(task.trusted, "trusted", columns[1:], columns[0]), tests, task.domain)
    return replace(data, trusted=apart(own, data, task.trusted, "trusted", task.trusted_rows, seed))


def _listed(task: CausalLMSpec) -> str:
    return ", ".join(map(repr, columns_of(task.train, "train")))


def _columns(task: CausalLMSpec) -> tuple[Form, dict[str, str]]:
    """The form of the rows, and the file's columns by the form's names for them."""
    present = columns_of(task.train, "train")
    own = {name: getattr(task, name) for form in (MESSAGES, PAIR, TEXT) for name in form.columns}
    named = {name: column for name, column in own.items() if column is not None}
    form = form_of(tuple(named) or present, "train")
    names = {name: named.get(name, name) for name in form.columns}
    return form, names | {name: name for name in form.optional if name in present}


class WritingSection(Protocol):
    """The fields of a section that say how its conversations are written."""

    @property
    def model(self) -> str: ...
    @property
    def max_length(self) -> int: ...
    @property
    def overlong(self) -> Literal["refuse", "drop"]: ...
    @property
    def chat_template_path(self) -> str | None: ...
    @property
    def trainable_token_indices(self) -> tuple[int, ...]: ...
    @property
    def new_tokens(self) -> tuple[str, ...]: ...


def writer_of(task: WritingSection, form: Form, names: Mapping[str, str], answers_only: bool) -> Writer:
    """What writes a job's rows as its model reads them. Raises `InvalidInput`."""
    from workers.models.description import describe  # which knows the types of task

    tokens = special_tokens(task.model)
    vocabulary = describe(task.model).anatomy.vocabulary
    _check_trained(task.trainable_token_indices, vocabulary)
    new_tokens(task.model, task.new_tokens)
    tokenizer = check_tokenizer(resolve(task.model, weights=False), vocabulary)
    if tokenizer is not None:
        extend(tokenizer, task.new_tokens)
    added = () if tokenizer is None else tokenizer.get_added_tokens_decoder().values()
    end = tokens.get("eos_token", "")
    ends = {one.content for one in added if one.special} | ({end} if end else set())
    template = chat_template(task.model, task.chat_template_path)
    drop = task.overlong == "drop"
    return Writer(form, names, template, end, tuple(sorted(ends)), answers_only, task.max_length, drop, tokenizer)


def _check_trained(tokens: tuple[int, ...], vocabulary: int) -> None:
    allowed = f"ids from 0 to {vocabulary - 1}, each once"
    wrong = next((one for one in tokens if one >= vocabulary or tokens.count(one) > 1), None)
    if wrong is not None:
        raise InvalidInput("trainable_token_indices", wrong, allowed)


def encode(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    """Token ids, and at each position the next token where that is learnt.

    A row is tokenised as a whole, as models read it; a token that holds the end of one piece and the beginning of the
    next belongs to the latter. So the beginning of an answer is learnt, wherever the tokens of its prompt alone end.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    parts = list(learnt_pieces(rows))
    encoded = backend.encode_batch([text for text, _, _ in parts], add_special_tokens=False)
    front = _front(tokenizer)
    found: Encoded = {"input_ids": [], "targets": []}
    for pieces, one, (_, ends, learnt) in zip(rows.texts, encoded, parts, strict=True):
        piece = np.searchsorted(ends, [end for _, end in one.offsets], side="left").clip(max=len(ends) - 1)
        before = front if pieces[0] == "" else []
        ids = np.array([*before, *one.ids], dtype=np.int32)[:max_length]
        wanted = np.concatenate([np.zeros(len(before), dtype=bool), learnt[piece] == 1])[:max_length]
        targets = np.append(np.where(wanted, ids, IGNORED)[1:], IGNORED)
        if (targets == IGNORED).all():
            raise InvalidInput(
                "max_length", max_length, f"enough for a row's answer, which begins at token {wanted.sum()}"
            )
        found["input_ids"].append(ids)
        found["targets"].append(targets)
    if "token_type_ids" in tokenizer.model_input_names:
        found["token_type_ids"] = [np.zeros_like(ids) for ids in found["input_ids"]]
    return found


def _front(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that a tokenizer puts in front of a text."""
    backend = tokenizer.backend_tokenizer
    whole, plain = backend.encode("a").ids, backend.encode("a", add_special_tokens=False).ids
    starts = (at for at in range(len(whole)) if whole[at : at + len(plain)] == plain)
    return list(whole[: next(starts, 0)])


def _criterion(_task: CausalLMSpec, _labels: tuple[str, ...]) -> Criterion:
    from workers.tasks.losses import token_loss
    from workers.tasks.measures import TokenMeasure

    return Criterion("token", token_loss, TokenMeasure, scored=True)


TASK = Task(
    name="causal-lm",
    summary="text that goes on from a text: answers, completions, or plain text",
    pipeline_tag="text-generation",
    section=CausalLMSpec,
    metrics=(NATS, PERPLEXITY, TOKEN_ACCURACY),
    written=WRITTEN,
    hyperparameters=("packing", "position_scale", "demos", "drop_share", "drop_by"),
    head=CAUSAL,
    read=read,
    encode=encode,
    criterion=_criterion,
    example={"model": "builtin:smollm2", "train": "builtin:pysft", "max_length": 224, "train_rows": 1000},
    reads_model=True,
)
