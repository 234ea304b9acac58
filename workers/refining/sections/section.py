"""What all steps have in common: options whose lists are tried one by one."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Rates = Annotated[list[Rate], Field(min_length=1, max_length=10)]
Rows = Annotated[int, Field(ge=1, le=65_536)]
Epochs = Annotated[float, Field(gt=0, le=1000)]
HeadChoice = Literal["fresh", "kept"]
Takes = Literal["any", "lora", "mergeable", "e2e_qp", "mola"]


class StepSection(BaseModel):
    """A step: every combination of its lists is a trial of its own.

    With `gathers` one trial takes all results of the step before, else there is one for each of the best of them.
    `afresh` trials are ordinary trainings, which take nothing over from them. One that reads `answers` works on tasks
    with `generation` alone. `takes` says which adapters it works on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    step: str
    gathers: ClassVar[bool] = False
    afresh: ClassVar[bool] = False
    answers: ClassVar[bool] = False
    takes: ClassVar[Takes] = "any"

    def choices(self) -> list[dict[str, Any]]:
        """Every combination of what is listed, and each time what is not."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "step"}
        lists = {name: value for name, value in values.items() if isinstance(value, list)}
        plain = {name: value for name, value in values.items() if name not in lists}
        return [plain | dict(zip(lists, chosen, strict=True)) for chosen in product(*lists.values())]
