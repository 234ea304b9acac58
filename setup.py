"""Puts into the wheel what is not Python beside the packages: the built dashboard and the example jobs.

Everything else about the package stands in pyproject.toml.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
BESIDE = {"web/dist": "service/static", "examples": "peftsearch/examples"}
"""Folders of the checkout and where they lie in the installed packages."""


class BuildWithPages(build_py):
    """Builds the packages and copies the folders beside them. A wheel without the dashboard is refused: `make wheel`
    builds it first."""

    def run(self) -> None:
        """Build; an editable install reads both folders where they are."""
        super().run()
        if self.editable_mode:
            return
        for source, target in BESIDE.items():
            if not (ROOT / source).is_dir():
                raise SystemExit(f"{source} is not there: run `make wheel`, which builds it first")
            shutil.copytree(ROOT / source, Path(self.build_lib) / target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithPages})
