"""A type of task is known by its own file: code that asks for one by name would be wrong for the next one."""

from __future__ import annotations

from pathlib import Path

from workers.tasks.registry import tasks, types

ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = {"workers/task.py", "peftsearch/cli/recommend.py"}
"""Where the default type is chosen, and told; and the demo, which shows what its own example jobs find."""
METHODS = "workers/methods/catalogue/"
"""A method may be made for types of task; its own file says for which."""


def test_no_code_names_a_type_but_its_own_file_and_the_default() -> None:
    own = {name: f"workers/tasks/catalogue/{name.replace('-', '_')}" for name in tasks()}
    found = {
        (name, str(path.relative_to(ROOT)))
        for package in ("workers", "service", "peftsearch")
        for path in (ROOT / package).rglob("*.py")
        for name in tasks()
        # One that is a plain word may stand in a sentence.
        if (name if "-" in name else f'"{name}"') in path.read_text(encoding="utf-8")
    }
    elsewhere = {(name, path) for name, path in found if not path.startswith((own[name], METHODS))}
    assert {one for one in elsewhere if one[1] not in DEFAULTS} == set()
    assert {name for name, path in found if path.startswith(own[name])} == set(tasks())


def test_the_page_names_no_type_but_the_default() -> None:
    scripts = [path for path in (ROOT / "web" / "src").rglob("*.ts*") if ".test." not in path.name]
    assert len(scripts) > 100
    read = {path: path.read_text(encoding="utf-8") for path in scripts if path.name != "openapi.ts"}
    found = {(name, path.name) for path, text in read.items() for name in types() if f'"{name}"' in text}
    assert {one for one in found if one[0] != "text-classification"} == set()
