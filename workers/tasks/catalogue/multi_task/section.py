"""The `task` section of several tasks on one backbone. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workers.bounded import Location
from workers.tasks.catalogue.question_answering.section import QuestionAnsweringSpec
from workers.tasks.catalogue.text_regression import TextRegressionSpec
from workers.tasks.catalogue.token_classification import TokenClassificationSpec
from workers.tasks.metrics import Metric
from workers.tasks.several_tasks import MODEL, MOST_TASKS, ClassificationPart, SeveralTasks


class RegressionPart(TextRegressionSpec):
    """A text regression among other tasks."""

    model: Location = MODEL


class TokensPart(TokenClassificationSpec):
    """A token classification among other tasks."""

    model: Location = MODEL


class QuestionsPart(QuestionAnsweringSpec):
    """A question answering among other tasks."""

    model: Location = MODEL


Part = Annotated[ClassificationPart | RegressionPart | TokensPart | QuestionsPart, Field(discriminator="type")]


class MultiTaskSpec(SeveralTasks):
    """The `task` section of several tasks that train together."""

    type: Literal["multi-task"] = "multi-task"
    tasks: dict[str, Part] = Field(
        min_length=2,
        max_length=MOST_TASKS,
        description="tasks by name, each with its own `type` (one of a class, a number, tags or an answer for texts), "
        "`train` and columns",
    )

    def further_metrics(self) -> tuple[Metric, ...]:
        """Metrics of each task under `NAME.metric`."""
        from workers.tasks.catalogue.multi_task.parts import part_metrics

        return part_metrics(self.tasks)

    def likeness(self) -> str:
        """Jobs of the same kinds of tasks tell of each other."""
        return f"{self.type}: {', '.join(sorted(part.type for part in self.tasks.values()))}"
