"""RoBERTa and XLM-RoBERTa: BERT without a pooler, its positions counted from the padding token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy
from workers.models.families.bert import bert
from workers.models.families.family import Family


def roberta(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    return bert(config, body="roberta")


FAMILY = Family(
    "RoBERTa, XLM-RoBERTa, CamemBERT",
    (
        "roberta",
        "xlm-roberta",
        "camembert",
    ),
    roberta,
)
