"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets that live beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data sets are not beside this checkout ({SHARED_DATA})")
    return SHARED_DATA
