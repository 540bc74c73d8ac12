"""Fixtures that every part of the tests may use, and what no test may do to its machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine draws slowly, which says nothing about the code.
settings.register_profile("cockpit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cockpit")

pytest_plugins = ["standin.fixtures", "standin.nvml_box", "standin.plain_nvml"]

HOME = pytest.StashKey[Path]()

# The discard port: connections to it are refused at once.
NOWHERE = "http://127.0.0.1:9"
NO_PACKAGES = {
    "UV_DEFAULT_INDEX": f"{NOWHERE}/simple",
    "UV_NO_CONFIG": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_HTTP_RETRIES": "0",
    "PIP_INDEX_URL": f"{NOWHERE}/simple",
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_RETRIES": "0",
    # uv goes to PyTorch's own index whatever the default one is.
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "ALL_PROXY": NOWHERE,
    "NO_PROXY": "localhost,127.0.0.1,::1",
}
MORE_PACKAGES = (
    "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE",
    "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_PROXY",
)  # fmt: skip


def pytest_sessionstart(session: pytest.Session) -> None:
    # pytest's own directories are too long for the path of a Unix socket.
    session.config.stash[HOME] = Path(tempfile.mkdtemp(prefix="ckt-", dir="/tmp"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    shutil.rmtree(session.config.stash[HOME], ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """No test reads or writes its user's own directories, or takes a package from a real index.

    Set before any fixture is, whatever its scope. Tests of installing make an index of their own;
    a test with the `network` mark has the machine's.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
            directory = item.config.stash[HOME] / name
            directory.mkdir(mode=0o700, exist_ok=True)
            patch.setenv(f"XDG_{name}", str(directory))
        if item.get_closest_marker("network") is None:
            for name in MORE_PACKAGES:
                patch.delenv(name, raising=False)
            for name, value in NO_PACKAGES.items():
                patch.setenv(name, value)
                if name.endswith("_PROXY"):
                    patch.setenv(name.lower(), value)
        return (yield)
