"""No command, option, route, job field or setting is undocumented, and the examples in the docs are admitted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
import yaml
from pydantic import BaseModel

from optimizers import registry as optimizers
from optimizers.schedulers import registry as schedulers
from peftsearch.cli import app as cli
from peftsearch.cli import jobfile
from service.jobs.admission import admit
from service.jobs.law.spec import LawSpec
from service.jobs.mixture.spec import MixtureSpec
from service.jobs.refine.spec import RefineSpec
from service.jobs.search.spec import JobSpec
from service.settings import ENVIRONMENT, Settings
from workers.refining.spec import step_models

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _sections(page: str) -> dict[str, str]:
    """Text below each third-level heading."""
    parts = re.split(r"^### ([\w-]+)\n", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_and_option_is_documented() -> None:
    sections = _sections("cli.md")
    commands = typer.main.get_command(cli).commands  # type: ignore[attr-defined]
    assert set(sections) == set(commands)
    for name, command in commands.items():
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                shared = option in {"--url", "--token", "--json"}
                if option.startswith("--") and not shared:
                    assert f"`{option}" in sections[name] or f"{option} " in sections[name], f"{name} {option}"


def test_every_environment_variable_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    for variable in (*ENVIRONMENT.values(), "PEFTSEARCH_URL", "PEFTSEARCH_TOKEN"):
        assert f"`{variable}`" in text


def test_every_route_is_documented_and_no_other(api: Any) -> None:
    documented = set(re.findall(r"^\| `(\w+ /\S+)` \|", (DOCS / "rest-api.md").read_text(), flags=re.MULTILINE))
    served = {
        f"{method.upper()} {path}"
        for path, operations in api.get("/v1/openapi.json").json()["paths"].items()
        for method in operations
    }
    assert documented == served


def test_every_query_parameter_of_events_and_trials_is_documented(api: Any) -> None:
    text = (DOCS / "rest-api.md").read_text()
    for path, operations in api.get("/v1/openapi.json").json()["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    assert re.search(rf"`{parameter['name']}\b", text), f"{path} {parameter['name']}"


def _fields(section: type[BaseModel], prefix: str = "") -> set[str]:
    """Every field of a section and of those in it, of all types of task."""
    found = set()
    for name, field in section.model_fields.items():
        found.add(prefix + name)
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= _fields(part, f"{prefix}{name}.")
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def test_every_field_of_a_job_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", (DOCS / "jobspec.md").read_text(), flags=re.MULTILINE)
    strategies = {*optimizers.names(), *schedulers.names()}
    assert sorted(row for row in rows if row not in strategies) == sorted(_fields(JobSpec))


@pytest.mark.parametrize(
    ("model", "page"), [(MixtureSpec, "designed-jobs.md"), (LawSpec, "designed-jobs.md"), (RefineSpec, "refine.md")]
)
def test_every_field_of_a_designed_job_is_documented_and_no_other(model: type[BaseModel], page: str) -> None:
    kind = model.__name__.removesuffix("Spec").lower()
    section = (DOCS / page).read_text().partition(f"| {kind} field |")[2].partition("\n\n")[0]
    elsewhere = ("resources.", "task.", "steps.", "adapters.")  # explained elsewhere, or filled in
    wanted = sorted(name for name in _fields(model) if not name.startswith(elsewhere))
    assert sorted(re.findall(r"^\| `([\w.]+)` \|", section, flags=re.MULTILINE)) == wanted


def test_every_option_of_a_refining_step_is_documented_and_no_other() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \|", (DOCS / "refine.md").read_text().partition("## Steps")[2], flags=re.MULTILINE
    )
    wanted = {(step, name) for step, model in step_models().items() for name in model.model_fields if name != "step"}
    assert set(rows) == wanted


def test_the_examples_of_designed_jobs_are_admitted(tmp_path: Path) -> None:
    pages = ("designed-jobs.md", "refine.md")
    blocks = [
        block
        for page in pages
        for block in re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    ]
    roots = Settings.read({"home": tmp_path, "data_roots": [DOCS.parent], "no_auth": True}, {})
    assert [admit(yaml.safe_load(block), roots).kind for block in blocks] == ["mixture", "law", "refine"]


def test_every_optimizer_and_scheduler_is_documented() -> None:
    text = (DOCS / "jobspec.md").read_text()
    for name in (*optimizers.names(), *schedulers.names()):
        assert f"\n| `{name}` |" in text, name


@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_the_job_page_are_admitted(spec: dict[str, Any], settings: Any, number: int) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "jobspec.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    example = yaml.safe_load(blocks[number])
    example = spec | example | {"task": spec["task"]}
    task = {"model": "builtin:minilm", "train": "builtin:pydocs", "train_rows": 100, "validation_rows": 20}
    assert admit(example | {"task": task}, settings).space == JobSpec.model_validate(example).space


@pytest.mark.parametrize("file", sorted((DOCS.parent / "examples").glob("*.yaml")), ids=lambda file: file.name)
def test_the_example_job_files_are_admitted(tmp_path: Path, request: pytest.FixtureRequest, file: Path) -> None:
    roots = Settings.read({"home": tmp_path, "data_roots": [DOCS.parent], "no_auth": True}, {})
    job = jobfile.read(file)
    if job.get("task", {}).get("model") == "builtin:smollm2":
        request.getfixturevalue("smollm2_folder")
    assert admit(job, roots).name


def test_every_decision_is_in_the_index() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    pages = {page.name for page in (DOCS / "decisions").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == pages
