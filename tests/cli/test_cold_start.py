"""A headless command starts fast: what it imports is counted."""

import json
import os
import subprocess
import sys

import pytest

COUNT = """
import contextlib, io, json, sys
from cockpit.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    try:
        main(sys.argv[1:])
    except SystemExit:
        pass
print(json.dumps(sorted(sys.modules)))
"""

NEVER = {"textual", "rich", "asyncssh", "torch", "warp", "numpy", "pynvml"}

BOUND = 214
"""Modules in all, the interpreter's own among them: what there is, and a little room for other
Pythons."""
BOUNDS = {"plugins": 250, "doctor --simulate": 215, "completion bash": 310}
"""These ask which Python packages bring plugins, the doctor has its checks, and completion imports
every command."""

COMMANDS = [
    "--help",
    "--version",
    "status --simulate",
    "status --simulate --json",
    "history 0 power_w --simulate",
    "events --simulate",
    "metrics --simulate",
    "record /nowhere/file --simulate",
    "run --help",
    "run cfd --help",
    "exec --help",
    "bench --help",
    "jobs --simulate",
    "job none --simulate",
    "show none --simulate",
    "logs none --simulate",
    "files none --simulate",
    "cp none:x /nowhere/y --simulate",
    "wait none --simulate",
    "stop none --simulate",
    "rm none --simulate",
    "requeue none --simulate",
    "usage --simulate",
    "environments --simulate",
    "notify --simulate",
    "plugins",
    "hosts",
    "serve audit",
    "config",
    "themes",
    "agent status",
    "doctor --simulate",
    "completion bash",
]


def imported(line: str, home: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, *line.split()],
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("line", COMMANDS)
def test_nothing_heavy_is_imported(line: str, cli_home: dict[str, str]) -> None:
    modules = imported(line, cli_home)
    assert not NEVER & {name.partition(".")[0] for name in modules}
    assert len(modules) <= BOUNDS.get(line, BOUND), len(modules)


def test_help_costs_next_to_nothing(cli_home: dict[str, str]) -> None:
    assert not {"asyncio", "argparse", "cockpit.client"} & imported("--help", cli_home)


def test_reading_the_status_reads_no_file_format_and_no_agent(cli_home: dict[str, str]) -> None:
    modules = imported("status --simulate --json", cli_home)
    assert not {"tomllib", "tomli", "sqlite3", "difflib"} & modules
    assert not [name for name in modules if name.startswith("cockpit.agent")]


def test_every_command_is_counted() -> None:
    from cockpit.cli.main import COMMANDS as TABLE

    assert set(TABLE) <= {line.split()[0] for line in COMMANDS}
