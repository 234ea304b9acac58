"""What the `task` sections of reranking and retrieval have in common. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workers.bounded import Name
from workers.tasks.section import DomainSection, KnowledgeSection


class RankingSection(DomainSection, KnowledgeSection):
    """Queries, documents and judgements. Columns are found by their usual names; domains are those of queries."""

    query: Name | None = Field(default=None, description="column of the queries (default `query`)")
    document: Name | None = Field(default=None, description="column of the documents (default `document`)")
    label: Name | None = Field(
        default=None,
        description="column of grades, whole numbers of which 0 is not relevant (default `label` or `grade`; without "
        "one, every pair is relevant)",
    )
    positive: Name | None = Field(
        default=None, description="column of what answers a query, a text or a list of them (default `positive`)"
    )
    negative: Name | None = Field(
        default=None, description="column of what does not (default `negative`, and `negative_1`, `negative_2`, …)"
    )
    unusable: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="judgements of queries or documents that a corpus does not have: refuse the job, or leave them out",
    )
    mined: Literal["bm25", "random"] = Field(
        default="bm25",
        description="documents that are compared where the data name none that are not relevant: the best by BM25, or "
        "any; what is judged relevant is never among them",
    )

    def text_columns(self) -> tuple[str, ...]:
        """The columns that make the input."""
        return (self.query or "query", self.document or "document")
