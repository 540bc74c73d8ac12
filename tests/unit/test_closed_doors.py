"""What no test can do by mistake: fetch a package, or write among its user's own files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit import paths
from cockpit.agent.environments.installer import find_uv


@pytest.mark.parametrize("backend", ["cpu", ""])
def test_uv_gets_nothing_from_any_real_index(backend: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("torch\n")
    done = subprocess.run(
        [str(find_uv()), "pip", "compile", "requirements.in", "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, **({"UV_TORCH_BACKEND": backend} if backend else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0 and "refused" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("colorama", "no matching distribution"),
        ("https://pypi.org/packages/colorama-0.4.6-py2.py3-none-any.whl", "proxy"),
    ],
)
def test_pip_gets_nothing_from_any_real_index(wanted: str, said: str, tmp_path: Path) -> None:
    pytest.importorskip("pip", reason="this environment was made without pip")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-cache-dir", wanted],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0 and said in (done.stdout + done.stderr).lower()


def test_nothing_is_written_among_the_users_own_files() -> None:
    own = Path.home()
    for directory in (
        paths.config_dir(),
        paths.state_dir(),
        paths.cache_dir(),
        paths.runtime_dir(),
    ):
        assert own not in directory.parents, directory
