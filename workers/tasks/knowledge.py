"""Data of what a base can do already, as a task of its own. Imports no torch."""

from __future__ import annotations

from typing import Any

from workers.tasks.catalogue.causal_lm import CausalLMSpec
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.registry import task_of
from workers.tasks.section import FileSection, KnowledgeSection, TaskSection, WatchedSection


def knowledge_section(task: TaskSection) -> TaskSection | None:
    """The data of a job's knowledge as a task of its own; None where the job names none."""
    if not isinstance(task, WatchedSection) or task.knowledge is None:
        return None
    shared: dict[str, Any] = {"model": task.model, "train": task.knowledge}
    if isinstance(task, FileSection):
        return type(task)(**shared, **task.knowledge_column(), label=task.knowledge_label)
    assert isinstance(task, KnowledgeSection)
    shared |= {"max_length": task.max_length}
    if task_of(task).head.reads == "labelled":
        return CausalLMSpec(**shared, text=task.knowledge_text, overlong="drop")
    return TextClassificationSpec(**shared, text=task.knowledge_text, label=task.knowledge_label)
