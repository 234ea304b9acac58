"""The criterion of tasks that give each row one of several classes. Needs torch."""

from __future__ import annotations

from workers.tasks.criterion import Criterion
from workers.tasks.losses import classification_loss
from workers.tasks.measures import ClassificationMeasure


def classification(classes: int) -> Criterion:
    """Cross-entropy and the classification metrics for `classes` classes."""
    return Criterion("row", classification_loss, lambda: ClassificationMeasure(classes))
