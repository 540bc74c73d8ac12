"""What the tests of the shipped plugins share."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XDG cache directory for all of them, so that a kernel is compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def cfd_module(cache_home: Path) -> Iterator[Callable[[str], Any]]:
    """The wind tunnel's modules by name, imported from its folder as its workload does."""
    if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
        pytest.importorskip("warp", reason="the wind tunnel needs warp-lang")
    import warp

    warp.config.log_level = warp.LOG_ERROR
    warp.config.kernel_cache_dir = str(cache_home / "cockpit" / "warp")
    with _modules_of("cfd") as modules:
        yield modules


@pytest.fixture(scope="module")
def tune_module() -> Iterator[Callable[[str], Any]]:
    """The modules of fine-tuning by name; those that train need torch."""
    with _modules_of("llm-tune") as modules:
        yield modules


@pytest.fixture(scope="module")
def train_module() -> Iterator[Callable[[str], Any]]:
    """The modules of pre-training by name; those that train need torch."""
    with _modules_of("llm-train") as modules:
        yield modules


@contextlib.contextmanager
def _modules_of(plugin: str) -> Iterator[Callable[[str], Any]]:
    """A plugin's modules, imported from its folder as its workload does, and forgotten again."""
    folder = PLUGINS / plugin
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(folder))
        for name in [path.stem for path in folder.glob("*.py")]:
            sys.modules.pop(name, None)
