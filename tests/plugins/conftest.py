"""What the tests of the shipped plugins share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XDG cache directory for all of them, so that a kernel is compiled once."""
    return tmp_path_factory.mktemp("cache")
