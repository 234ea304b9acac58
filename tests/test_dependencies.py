"""What is imported is declared, what is declared is imported, and each extra brings what it promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("peftsearch", "service", "workers", "optimizers", "predictors", "search_spaces")
UNSEEN = {"psycopg"}  # SQLAlchemy loads its driver by name
SHARED = "opentelemetry"  # a name for modules of several distributions: the extra `otel` has all that are imported
OPTIONAL = {"pandas"}  # `to_dataframe()` says how to install it

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """Distributions that an install with these extras asks for by name."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return {normal(Requirement(line).name) for line in lines}


def imported(package: str) -> set[str]:
    """Distributions that the package's files import, anywhere in them."""
    owners = packages_distributions()
    tops: set[str] = set()
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            tops |= {name.partition(".")[0] for name in names}
    foreign = tops - set(PACKAGES) - set(sys.stdlib_module_names) - {SHARED}
    return {normal(owners.get(top, [top])[0]) for top in foreign}


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    extras = set(PROJECT["optional-dependencies"]) - {"dev", "otel"}
    found = {package: imported(package) - OPTIONAL for package in PACKAGES}
    assert set.union(*found.values()) <= declared(*extras)
    assert declared(*extras) - set.union(*found.values()) - UNSEEN == {"bitsandbytes"}  # transformers loads it
    assert found["workers"] <= declared("workers", "gguf", "images", "lm-eval", "sounds")
    assert found["service"] - {"ray"} <= declared("service")  # the conductor needs the workers' extra, too


def closure(*extras: str) -> set[str]:
    """Everything that pip would install for these extras on this machine."""
    todo, seen = [(name, frozenset[str]()) for name in declared(*extras)], set[str]()
    while todo:
        name, wanted = todo.pop()
        if (name in seen and not wanted) or name in UNSEEN:
            continue
        seen.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                todo += [(normal(requirement.name), frozenset(requirement.extras))]
    return seen


PROGRAM = """
import importlib, sys
from importlib.metadata import packages_distributions
allowed, modules = set(sys.argv[1].split(",")), sys.argv[2:]
owners = packages_distributions()
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        here = {one.lower().replace("_", "-").replace(".", "-") for one in owners.get(name.partition(".")[0], ())}
        return self.finder.find_spec(name, path, target) if not here or here & allowed else None
sys.meta_path[:] = map(Without, sys.meta_path)
for module in modules:
    importlib.import_module(module)
"""


@pytest.mark.parametrize(
    ("extras", "modules"),
    [
        ((), ["peftsearch", "peftsearch.cli"]),
        (("service",), ["service.serve", "service.offline", "service.store.migrate", "service.jobs.search.problem"]),
        (
            ("workers",),
            [
                "workers.running.trial",
                "workers.running.standalone",
                "workers.running.ray_worker",
                "optimizers.optuna_samplers",
            ],
        ),
        (("service", "workers"), ["service.conductor.__main__", "service.conductor.training.ray_executor"]),
    ],
)
def test_an_extra_alone_imports_what_it_promises(extras: tuple[str, ...], modules: list[str]) -> None:
    allowed = {*closure(*extras), "peftsearch", "setuptools", "pip"}
    command = [sys.executable, "-c", PROGRAM, ",".join(sorted(allowed)), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
