"""The register of published systems: `examples/systems/register.yaml` as plain data. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "systems"
REGISTER = FOLDER / "register.yaml"


class System(BaseModel):
    """One published system.

    Attributes:
        number: of its row, the same everywhere.
        system: its name as published.
        here: what it is in this product.
        state: whether it works through a user's door with its defining property shown, works in part, or is not there.
        job: a job file beside the register that reaches it.
        command: a command that reaches it instead.
        check: the property that a lazy imitation would not have.
        tests: the tests that show it, as pytest names them.
        certain: what of it is as published.
        choice: what is our own.
        missing: what is not there, and why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    system: str
    here: str
    state: Literal["works", "partly", "missing"]
    job: str | None = None
    command: str | None = None
    check: str = ""
    tests: tuple[str, ...] = ()
    certain: str = ""
    choice: str = ""
    missing: str = ""

    @model_validator(mode="after")
    def _says_what_it_claims(self) -> Self:
        if self.state == "missing":
            if not self.missing or self.job or self.command:
                raise ValueError(f"row {self.number}: a system that is not there says what is missing and has no door")
        elif not (self.job or self.command) or not self.check or not self.tests:
            raise ValueError(f"row {self.number}: a system that is there has a door, a check and its tests")
        if self.state == "partly" and not self.missing:
            raise ValueError(f"row {self.number}: a system that is there in part says what is missing")
        return self


def systems(register: Path = REGISTER) -> tuple[System, ...]:
    """Every row, in the order of the numbers. Raises `ValueError` where a row is not sound or a number not its own."""
    rows = tuple(System.model_validate(row) for row in yaml.safe_load(register.read_text(encoding="utf-8")))
    if [row.number for row in rows] != sorted({row.number for row in rows}):
        raise ValueError("the rows of the register are not in the order of their numbers, each once")
    return rows
