"""A home of its own for the commands' tests, with real agents on the simulated box."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cockpit.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def cli_home() -> Iterator[dict[str, str]]:
    """Environment variables of private directories; the agents in them are ended."""
    # pytest's own directories are too long for the path of a Unix socket.
    home = Path(tempfile.mkdtemp(prefix="ck-", dir="/tmp"))
    variables = {
        "XDG_RUNTIME_DIR": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    yield variables
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        main(["agent", "stop", "--all"])
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def cockpit(
    cli_home: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Run a command line in this process, at home in `cli_home`."""
    for name, value in cli_home.items():
        monkeypatch.setenv(name, value)
    for name in ("COCKPIT_CONFIG", "COCKPIT_SOURCE", "COCKPIT_THEME", "NO_COLOR", "COCKPIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Result:
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as error:
            code = int(error.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def start(cli_home: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command line as a process of its own, at home in `cli_home`; ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: str, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, **cli_home, **options.pop("variables", {})}
        command = [sys.executable, "-m", "cockpit", *words]
        started.append(subprocess.Popen(command, env=environment, **{**pipes, **options}))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
