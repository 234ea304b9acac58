"""The `task` section of a job: one of the types of task, told by its `type`. Imports neither torch nor ray."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Tag

from workers.tasks.registry import tasks, types
from workers.tasks.section import TaskSection, TypeSection

DEFAULT_TYPE = "text-classification"


def _type_of(section: Any) -> Any:
    """The `type` of a section as written or as built; `DEFAULT_TYPE` where it is not written."""
    return section.get("type", DEFAULT_TYPE) if isinstance(section, dict) else getattr(section, "type", None)


if TYPE_CHECKING:
    AnyTask = TaskSection
    AnyType = TypeSection
else:  # not to be written down: a new type of task is one file

    def _union(known):
        sections = reduce(or_, (Annotated[one.section, Tag(name)] for name, one in known.items()))
        return Annotated[sections, Discriminator(_type_of)]

    AnyTask = _union(tasks())
    """Sections with a model and data, which adapters are trained on."""
    AnyType = _union(types())
    """Sections of every type: what a search may be about."""
