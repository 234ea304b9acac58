"""The `task` section of a job whose trials are programs. Imports neither torch nor ray: the API validates with it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from workers.bounded import Location
from workers.tasks.section import TypeSection

Argument = Annotated[str, Field(max_length=4096)]


class ProgramSpec(TypeSection):
    """Which program a trial runs, and how."""

    path_fields: ClassVar[tuple[str, ...]] = ("program",)

    type: Literal["program"] = "program"
    program: Location = Field(
        description="a Python file, or any file that can be executed, in a folder that the operator allows programs "
        "in; or `builtin:spiking`, `builtin:kind` or `builtin:blackvip`"
    )
    function: str | None = Field(
        default=None,
        max_length=200,
        pattern=r"^[A-Za-z_]\w*$",
        description="of a Python file: the function that is called with the trial, in place of the whole file",
    )
    arguments: tuple[Argument, ...] = Field(
        default=(),
        max_length=1000,
        description="for the program; `{NAME}` stands for a parameter's value, and an argument whose parameter is not "
        "active is left out",
    )
    timeout: float = Field(
        default=3600.0, gt=0, le=1e7, description="seconds after which an attempt is ended, with all that it started"
    )

    @field_validator("arguments")
    @classmethod
    def _sendable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in argument for argument in value):
            raise ValueError("a NUL byte cannot be passed to a program")
        return value

    def longest_attempt(self) -> float:
        """Seconds of one attempt."""
        return self.timeout

    def likeness(self) -> str:
        """Trials of one program tell nothing of another's."""
        return f"{self.type} {self.program} {self.function or ''}"
