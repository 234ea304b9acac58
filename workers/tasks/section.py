"""What the `task` sections of all types have in common. Imports neither torch nor ray: the API validates with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from workers.bounded import INT32, Location, Name
from workers.tasks.metrics import FORGETTING, Metric

DOMAIN = "domain:"
Source = Location | Annotated[float, Field(gt=0, lt=1)] | None


def domain_left_out(source: object) -> str | None:
    """The domain that a split's source, `domain:NAME`, stands for; None for any other source."""
    return source.removeprefix(DOMAIN) if isinstance(source, str) and source.startswith(DOMAIN) else None


class TypeSection(BaseModel):
    """What the `task` section of every type has, also of types that train no model of ours. Paths are strings as the
    user wrote them until the service resolves them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that may name files."""

    type: str

    def written_metrics(self) -> tuple[str, ...]:
        """Metrics of written answers that the job asks for."""
        return ()

    def judged_metrics(self) -> tuple[Metric, ...]:
        """Metrics of the job's own that every trial is measured by at its end."""
        return ()

    def confirmed_metrics(self) -> tuple[Metric, ...]:
        """Metrics of the job's own that confirmations alone are measured by."""
        return ()

    def further_metrics(self) -> tuple[Metric, ...]:
        """Metrics of the job's own that every evaluation measures beside those of its type."""
        return ()

    def longest_attempt(self) -> float:
        """Seconds after which a worker ends an attempt by itself; 0 where it never does."""
        return 0.0

    def likeness(self) -> str:
        """Jobs whose trials tell nothing of each other's differ in it."""
        return self.type


class TaskSection(TypeSection, ABC):
    """Model and data of a job.

    A type of task subclasses it with its own name as the `Literal` of `type`, and its columns and options.
    """

    path_fields: ClassVar[tuple[str, ...]] = ("train", "validation", "test")

    model: Location = Field(
        description="a built-in model as `builtin:minilm` (docs/models.md), a folder, or `hub:owner/name` with an "
        "optional `@revision`"
    )
    train: Location = Field(
        description="csv, jsonl or parquet file, a `datasets` folder, `builtin:pydocs` or `hub:owner/name`"
    )
    validation: Source = Field(
        default=None,
        description="a data source like `train`, or the fraction of `train` to split off with the job's seed",
    )
    test: Source = Field(
        default=None,
        description="data that the search never sees, for `confirm`: a source, or a fraction of `train` to split off",
    )
    max_length: int = Field(default=128, ge=4, le=8192, description="tokens; longer texts are truncated")
    train_rows: int | None = Field(
        default=None,
        ge=2,
        le=INT32,
        description="use a seeded sample of this many rows, balanced over classes",
    )
    validation_rows: int | None = Field(default=None, ge=2, le=INT32)

    def parts(self) -> Mapping[str, TaskSection]:
        """The sections of tasks that the task is made of, under `tasks`; none where it is one."""
        return {}

    def with_parts(self, _parts: Mapping[str, TaskSection]) -> Self:
        """The section with other parts of the same names; itself where it is one."""
        return self

    def holds_out_test(self) -> bool:
        """Whether there are rows that the search never sees."""
        return self.test is not None

    @abstractmethod
    def text_columns(self) -> tuple[str, ...]:
        """The columns that make the input."""

    def trained_tokens(self) -> tuple[int, ...]:
        """Tokens of the model whose embeddings are trained beside the adapter."""
        return ()

    def added_tokens(self) -> tuple[str, ...]:
        """Tokens that the job adds to the model; their embeddings are trained, too."""
        return ()

    def training_window(self) -> int | None:
        """Tokens of the windows that training rows are cut into; None where they stay whole."""
        return None

    @property
    def trains_embeddings(self) -> bool:
        """Whether embeddings of single tokens are trained beside the adapter."""
        return bool(self.trained_tokens() or self.added_tokens())


class DomainSection(TaskSection):
    """A section whose rows may say which domain they are of: a genre, a customer, a place."""

    domain: Name | None = Field(
        default=None,
        description="column of each row's domain: `worst_domain` is measured, and `domain:NAME` as `test` or "
        "`validation` is that domain, which no other split then has",
    )

    @model_validator(mode="after")
    def _domains_are_told(self) -> Self:
        left_out = [source for source in (self.validation, self.test) if domain_left_out(source) is not None]
        if left_out and self.domain is None:
            raise ValueError(f"found {left_out[0]!r} without `domain`; allowed: with the column of the domains")
        if len(left_out) > len(set(left_out)):
            raise ValueError(f"found {left_out[0]!r} as `validation` and as `test`; allowed: two domains")
        return self


class WatchedSection(TaskSection):
    """A section whose model may be watched for what it forgets."""

    path_fields: ClassVar[tuple[str, ...]] = (*TaskSection.path_fields, "knowledge")

    knowledge: Location | None = Field(
        default=None,
        description="data of what the base can do already, a source like `train`: `forgetting` of it is measured",
    )
    knowledge_label: Name = Field(
        default="label", description="column of their classes, for models that read; what writes needs none"
    )

    def written_metrics(self) -> tuple[str, ...]:
        """Metrics that are there at a trial's end alone."""
        return () if self.knowledge is None else (FORGETTING.name,)


class KnowledgeSection(WatchedSection):
    """A section of texts, watched by texts."""

    knowledge_text: Name = Field(default="text", description="column of the texts of `knowledge`")


class FileSection(DomainSection, WatchedSection):
    """A section whose rows are files with a class each, watched by files of the same kind."""

    max_length: ClassVar[int] = 0  # type: ignore[misc]  # a row has as many tokens as the model makes of a file
    label: Name = Field(default="label", description="column of the class: text or numbers, taken as written")

    @abstractmethod
    def knowledge_column(self) -> dict[str, str]:
        """The field that names the column of files, with the column of `knowledge` in it."""


class TrustedSection(KnowledgeSection):
    """A section of texts, some of which are known to be as they should be."""

    path_fields: ClassVar[tuple[str, ...]] = (*KnowledgeSection.path_fields, "trusted")

    trusted: Location | None = Field(
        default=None,
        description="rows that are known to be right, a data source like `train`, for trials with `drop_by: color`",
    )
    trusted_rows: int | None = Field(default=None, ge=1, le=INT32, description="use a seeded sample of so many of them")


class TextSection(DomainSection, KnowledgeSection):
    """A section whose rows are texts or pairs of texts."""

    text: Name | None = Field(default=None, description="column of the text (default `text`)")
    text_pair: tuple[Name, Name] | None = Field(
        default=None, description="two columns instead of `text`, for sentence pairs"
    )

    @field_validator("text_pair")
    @classmethod
    def _instead_of_text(cls, value: tuple[str, str] | None, known: ValidationInfo) -> tuple[str, str] | None:
        text = known.data.get("text")
        if value is not None and text is not None:
            raise ValueError(f"`text` names the column {text!r} already; allowed: `text` or `text_pair`, not both")
        return value

    def text_columns(self) -> tuple[str, ...]:
        """The one or two columns that make the input."""
        return self.text_pair if self.text_pair is not None else (self.text or "text",)
