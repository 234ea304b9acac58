"""How the service is set up: flags win over `PEFTSEARCH_*` environment variables, which win over the defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from workers.outbound.address_list import normal_list

ENVIRONMENT = {
    "home": "PEFTSEARCH_HOME",
    "host": "PEFTSEARCH_HOST",
    "port": "PEFTSEARCH_PORT",
    "database": "PEFTSEARCH_DATABASE",
    "ray": "PEFTSEARCH_RAY",
    "data_roots": "PEFTSEARCH_DATA_ROOTS",
    "programs": "PEFTSEARCH_PROGRAMS",
    "artifacts": "PEFTSEARCH_ARTIFACTS",
    "hub": "PEFTSEARCH_HUB",
    "rate_limit": "PEFTSEARCH_RATE_LIMIT",
    "log": "PEFTSEARCH_LOG",
    "webhooks": "PEFTSEARCH_WEBHOOKS",
    "judges": "PEFTSEARCH_JUDGES",
    "no_auth": "PEFTSEARCH_NO_AUTH",
}
"""Environment variable of each setting. Several folders are separated like `PATH`."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the setting, its variable, what was found and what would do."""


class Settings(BaseModel):
    """Everything that differs between two installations. Immutable; made once by `Settings.read`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(default=Path("~/.peftsearch"), description="folder of all state of the embedded default")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8765, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    database: str = Field(default="", description="SQLAlchemy URL; empty: SQLite under `home`")
    ray: str | None = Field(default=None, description="address of a Ray cluster; none: a local one is started")
    data_roots: tuple[Path, ...] = Field(
        default=(), description="folders that job files may read; empty: the current one"
    )
    programs: tuple[Path, ...] = Field(
        default=(),
        description="folders whose code jobs may run: programs, and files of `task.judges`; empty: none but built-in",
    )
    artifacts: str = Field(
        default="", description="folder or fsspec URL of adapters and checkpoints; empty: under `home`"
    )
    hub: str = Field(
        default="any", description="whose models and data jobs take from the hub: `any`, `off`, or owners with commas"
    )
    rate_limit: float = Field(
        default=200, ge=0, le=1e6, description="requests a second of a token without a rate of its own; 0: no limit"
    )
    log: Literal["text", "json"] = Field(default="text", description="form of the log: lines for people, or JSON")
    webhooks: str = Field(
        default="off",
        description="where webhooks may point to: `off`, `any` public address, or host names and networks with commas",
    )
    judges: str = Field(
        default="off",
        description="where judges may be asked for scores: `off`, `any` public address, or host names and networks",
    )
    no_auth: bool = Field(default=False, description="answer without a token; only on a loopback address")

    @field_validator("hub")
    @classmethod
    def _named_owners(cls, value: str) -> str:
        owners = [owner.strip() for owner in value.split(",")]
        if not all(re.fullmatch(r"[A-Za-z0-9][\w.-]*", owner) for owner in owners):
            raise ValueError("allowed: `any`, `off`, or names of owners separated by commas")
        return ",".join(owners)

    @field_validator("webhooks", "judges")
    @classmethod
    def _listed_addresses(cls, value: str) -> str:
        return normal_list(value)

    @field_validator("data_roots", "programs", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("data_roots")
    @classmethod
    def _real_roots(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return _folders(value or (Path.cwd(),))

    @field_validator("programs")
    @classmethod
    def _real_folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return _folders(value)

    @model_validator(mode="before")
    @classmethod
    def _fill_from_home(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or cls.model_fields["home"].default).expanduser().absolute()
        filled = dict(values) | {"home": home}
        filled["database"] = values.get("database") or f"sqlite:///{home / 'peftsearch.db'}"
        filled["artifacts"] = values.get("artifacts") or str(home / "artifacts")
        filled["data_roots"] = values.get("data_roots") or (Path.cwd(),)
        return filled

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.no_auth and self.host not in LOOPBACK:
            allowed = ", ".join(sorted(LOOPBACK))
            raise ValueError(f"no_auth: found host {self.host!r}; without tokens it answers on {allowed} only")
        return self

    @property
    def hub_owners(self) -> tuple[str, ...]:
        """Owners on the hub that jobs are limited to; empty where the hub is switched off or not limited."""
        return () if self.hub in {"any", "off"} else tuple(self.hub.split(","))

    @property
    def uploads(self) -> Path | None:
        """Where data that people send lies: beside the artifacts, which all machines reach; None where that is no
        folder."""
        return None if "://" in self.artifacts else Path(self.artifacts).absolute().parent / "uploads"

    @property
    def token_file(self) -> Path:
        """Where the embedded default leaves the admin's token for the CLI."""
        return self.home / "token"

    @property
    def url(self) -> str:
        """Address of the API as a browser on this machine would open it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @classmethod
    def read(cls, flags: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
        """Merge `flags` (entries that are None or empty do not count) over the environment over the defaults.

        Raises SettingsError naming every setting that cannot be used.
        """
        environment = os.environ if environment is None else environment
        merged: dict[str, object] = {
            name: environment[variable] for name, variable in ENVIRONMENT.items() if environment.get(variable)
        }
        merged |= {name: value for name, value in (flags or {}).items() if value not in (None, (), [], "")}
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            raise SettingsError("; ".join(_explain(problem) for problem in error.errors())) from None

    def as_environment(self) -> dict[str, str]:
        """The variables that make a child process read these very settings."""
        values = {
            "home": str(self.home),
            "host": self.host,
            "port": str(self.port),
            "database": self.database,
            "ray": self.ray or "",
            "data_roots": os.pathsep.join(map(str, self.data_roots)),
            "programs": os.pathsep.join(map(str, self.programs)),
            "artifacts": self.artifacts,
            "hub": self.hub,
            "rate_limit": f"{self.rate_limit:g}",
            "log": self.log,
            "webhooks": self.webhooks,
            "judges": self.judges,
            "no_auth": "1" if self.no_auth else "",
        }
        return {ENVIRONMENT[name]: value for name, value in values.items()}


def _folders(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    folders = tuple(path.expanduser().resolve() for path in paths)
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{str(folder)!r} is not a folder")
    return folders


def _explain(problem: Mapping[str, Any]) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not name:
        return message
    return f"{name} (or {ENVIRONMENT.get(name, 'no variable')}): found {problem['input']!r}; {message}"
