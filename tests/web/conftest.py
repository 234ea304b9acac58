"""The dashboard as it is shipped: the built files, the real API on a SQLite store, a real Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from service.settings import Settings
from service.store.store import Store, open_store
from tests.patience import PATIENCE_S
from tests.web.search import Search
from tests.web.server import Server
from workers.artifacts import ArtifactStore

WEB = Path(__file__).resolve().parents[2] / "web"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]

PATIENCE_MS = 1000 * PATIENCE_S  # of every wait of every browser test
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def built() -> None:
    """The dashboard's files, built if they are not there yet. Node.js may lie beside Python (it comes from PyPI)."""
    if (WEB / "dist" / "index.html").is_file():
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    npm = shutil.which("npm", path=path)
    if npm is None:
        pytest.skip("the dashboard is not built and there is no npm to build it with")
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run([npm, *command], cwd=WEB, env={**os.environ, "PATH": path}, check=True)


@pytest.fixture(scope="module")
def browser(built: None) -> Iterator[Browser]:  # noqa: ARG001 - the files must be there before pages open
    """A Chromium without a window. While it is open an event loop runs in this thread, so it goes with its module."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(CHROMIUM)} is on the PATH and CHROMIUM is not set")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A folder with a small labelled data set."""
    lines = [f"sentence number {number},{number % 2}" for number in range(80)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(f"sqlite:///{tmp_path / 'home' / 'peftsearch.db'}")
    yield opened
    opened.close()


@pytest.fixture
def server(data_root: Path, store: Store) -> Iterator[Server]:
    """The API with the dashboard, asking for tokens."""
    settings = Settings.read({"home": data_root / "home", "data_roots": [data_root]}, {})
    running = Server(settings, store, ArtifactStore(settings.artifacts))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def search(store: Store, data_root: Path) -> Search:
    """A running job and somebody who suggests and trains."""
    return Search(store, ArtifactStore(str(data_root / "home" / "artifacts")), data_root)


@pytest.fixture
def token(store: Store) -> str:
    """A token that may do everything."""
    return store.create_token("browser", ["admin"])[0]


@pytest.fixture
def page(browser: Browser, server: Server, token: str) -> Iterator[Page]:
    """A page at the dashboard, opened with the token in its address as `peftsearch serve` prints it. At the end no
    error may have been written to the console, but for refusals that the test asked for in `page.expected_errors`."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, base_url=server.url)
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto(f"/?token={token}")
    yield opened
    context.close()
    expected = getattr(opened, "expected_errors", ())
    assert [error for error in errors if not any(part in error for part in expected)] == []
