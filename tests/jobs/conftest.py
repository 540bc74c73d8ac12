"""A job service over real processes, without an agent around it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from job_bench import Bench, Say
from package_index import PackageIndex

from cockpit.agent.environments.installer import find_uv
from cockpit.cli.main import main


@pytest.fixture
def short_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short private directory, with every XDG directory in it."""
    path = Path(tempfile.mkdtemp(prefix="ckj-", dir="/tmp"))
    for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
        (path / name).mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}", str(path / name))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
async def bench(short_tmp: Path) -> AsyncIterator[Bench]:
    """A started service on a box of four idle GPUs."""
    bench = Bench(short_tmp / "jobs")
    await bench.start()
    yield bench
    await bench.stop_all()
    await bench.service.close()


@pytest.fixture
def index(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> PackageIndex:
    """The only index that uv and pip know, and a cache of uv's own."""
    assert find_uv(), "uv is neither beside this Python nor on the PATH: pip install -e '.[dev]'"
    index = PackageIndex(short_tmp / "index")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.address)
    monkeypatch.setenv("PIP_INDEX_URL", index.address)
    monkeypatch.setenv("UV_CACHE_DIR", str(short_tmp / "uv"))
    return index


@pytest.fixture
def cockpit(
    short_tmp: Path, index: PackageIndex, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Say]:
    """Run a command line on a box that takes its packages from `index`."""

    def run(*words: str) -> tuple[int, str, str]:
        capfdbinary.readouterr()
        try:
            code = main([*words[:1], "--simulate", *words[1:]])
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    yield run
    main(["agent", "stop", "--all"])
