"""A type of task is known by its own file: code that asks for one by name would be wrong for the next one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.task import DEFAULT_TYPE
from workers.tasks.registry import tasks, types

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("service", "workers", "peftsearch", "optimizers", "predictors", "search_spaces")
CATALOGUE = "workers.tasks.catalogue"
DEFAULTS = {"workers/task.py", "peftsearch/cli/recommend.py"}
"""Where the default type is chosen, and where help tells it: the only code that has a type's name."""
METHODS = "workers/methods/catalogue/"
"""A method may be made for types of task; its own file says for which."""
FIELDS = {
    ("program", "workers/programs/section.py"),
    ("program", "workers/programs/places.py"),
    ("program", "workers/programs/trial.py"),
    ("program", "service/jobs/search/program_admission.py"),
}
"""`program` is a field, too: the file that a trial runs. Its section has both."""
BUILT_ON = {"workers/tasks", "workers/refining"}
"""What is made of a type: several tasks of texts, the base's knowledge, steps of a refine job that train one."""


def own(name: str) -> str:
    return f"workers/tasks/catalogue/{name.replace('-', '_')}"


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def named(text: str) -> set[str]:
    """The types that code names: as a text of its own in whatever quotes, or, of names that are no plain word, in a
    longer one."""
    words = [one.value for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Constant)]
    whole = {word for word in words if isinstance(word, str)}
    return {name for name in types() if name in whole or ("-" in name and name in text)}


def imported(text: str) -> set[str]:
    """Modules that code imports, wherever in it."""
    found = set[str]()
    for one in ast.walk(ast.parse(text)):
        if isinstance(one, ast.Import):
            found |= {alias.name for alias in one.names}
        if isinstance(one, ast.ImportFrom):
            found |= {f"{one.module}.{alias.name}" for alias in one.names}
    return found


def uses_of_the_default(text: str) -> list[ast.AST]:
    """Comparisons with the default type, which are branches on a name that does not stand there."""
    return [
        one
        for one in ast.walk(ast.parse(text))
        if isinstance(one, ast.Compare | ast.Match) and "DEFAULT_TYPE" in {getattr(n, "id", "") for n in ast.walk(one)}
    ]


def test_no_code_names_a_type_but_its_own_file_and_the_default() -> None:
    found = {(name, path) for path, text in sources() for name in named(text)}
    elsewhere = {(name, path) for name, path in found if not path.startswith((own(name), METHODS))} - FIELDS
    assert elsewhere == {(DEFAULT_TYPE, path) for path in DEFAULTS}
    assert {name for name, path in found if path.startswith(own(name))} == set(types())
    assert found >= FIELDS, "no excuse is left over"
    assert [path for path, text in sources() if uses_of_the_default(text)] == []


def test_no_code_imports_a_type_but_what_is_built_on_it() -> None:
    """A type's section or criterion, asked for by its class, is its name again."""
    found = {
        path
        for path, text in sources()
        if any(one.startswith(f"{CATALOGUE}.") for one in imported(text))
        and not path.startswith("workers/tasks/catalogue/")
    }
    assert {path for path in found if not path.startswith(tuple(BUILT_ON))} == set()
    assert {part for part in BUILT_ON if any(path.startswith(part) for path in found)} == BUILT_ON


def test_the_page_names_no_type_but_the_default() -> None:
    kinds = {".ts", ".tsx", ".css"}
    scripts = [path for path in (ROOT / "web" / "src").rglob("*") if path.suffix in kinds and ".test." not in path.name]
    assert len(scripts) > 100
    read = {path: path.read_text(encoding="utf-8") for path in scripts if path.name != "openapi.ts"}
    found = [(name, path.name) for path, text in read.items() for name in types() if in_script(name, text)]
    assert found == [(DEFAULT_TYPE, "job-document.ts")]


def in_script(name: str, text: str) -> bool:
    """Whether a script names a type: in any quotes, as a key of an object, as a class of a style sheet."""
    quoted = re.search(rf"""[\"'`]{name}[\"'`]""", text)
    return quoted is not None or ("-" in name and name in text)


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("if task.type == 'retrieval': pass", {"retrieval"}),
        ('OTHER = {"program": 1}', {"program"}),
        ("match kind:\n    case 'continual': pass", {"continual"}),
        ('name = f"of multi-task {one}"', {"multi-task"}),
        ("retrieval = 1", set()),
        ('"""On the retrieval of rows."""', set()),
    ],
)
def test_a_name_is_seen_however_it_is_written(code: str, seen: set[str]) -> None:
    assert named(code) == seen


def test_a_branch_on_the_default_type_is_seen() -> None:
    assert uses_of_the_default("if task.type != DEFAULT_TYPE:\n    pass")
    assert not uses_of_the_default('section.get("type", DEFAULT_TYPE)')


def test_an_import_of_a_type_is_seen_in_either_form() -> None:
    for code in (
        f"from {CATALOGUE} import program",
        f"import {CATALOGUE}.program",
        f"from {CATALOGUE}.program import X",
    ):
        assert any(one.startswith(f"{CATALOGUE}.program") for one in imported(code))


def test_a_style_or_a_template_text_that_names_a_type_is_seen() -> None:
    assert in_script("image-classification", ".image-classification { color: red }")
    assert in_script("retrieval", "type === `retrieval`")
    assert not in_script("program", "the program runs")


def test_all_that_train_a_model_are_types() -> None:
    assert tasks().keys() < types().keys()
