"""Fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["tests.api_fixtures"]

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("untimed")

SHARED_DATA = (Path(__file__).resolve().parents[2] / "shared" / "data").resolve()


class OneRayAtATime(LoadFileScheduling):
    """Workers take a file each, but one of them takes all files that start Ray: side by side these wait for each other
    until their time is up."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "ray" if _starts_ray(file) else file


@cache
def _starts_ray(file: str) -> bool:
    return "pytest.mark.ray" in Path(__file__).parents[1].joinpath(file).read_text(encoding="utf-8")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """How tests are shared out among workers (`-n 2`)."""
    return OneRayAtATime(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets that live beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data sets are not beside this checkout ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    """Folder of `builtin:smollm2`, made on first use of a machine from a wheel of the package index."""
    from workers.errors import InvalidInput
    from workers.models import smollm2

    try:
        return smollm2.folder()
    except InvalidInput as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def whisper_folder() -> Path:
    """Folder of `builtin:whisper-base-2s`, made on first use of a machine from wheels of the package index."""
    from workers.errors import InvalidInput
    from workers.models import whisper_base

    try:
        return whisper_base.two_seconds()
    except InvalidInput as error:
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failure (except for want of a GPU): a green run there has run everything."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and item.get_closest_marker("gpu") is None:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where every test must run: {report.longrepr}"
    return report
