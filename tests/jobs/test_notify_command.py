"""`cockpit notify`, and what `cockpit run` and `wait` send to a real terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from job_bench import Say


def configure(short_tmp: Path, text: str) -> None:
    path = short_tmp / "CONFIG_HOME" / "cockpit" / "cockpit.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[notify]\n{text}\n")


def on_a_terminal(*words: str) -> str:
    """What a command line writes when stdout and stderr are a terminal."""
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
    environment.pop("VTE_VERSION", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "cockpit", *words, "--simulate"],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={**environment, "TERM": "xterm-256color"},
    )
    os.close(slave)
    said = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 4096):
            said += data
    os.close(master)
    process.wait()
    return said.decode()


def test_where_nobody_is_named_that_is_said(cockpit: Say) -> None:
    code, out, err = cockpit("notify")
    assert (code, out) == (1, "") and "names nobody to tell" in err


def test_every_way_is_tried_and_one_that_fails_is_named(cockpit: Say, short_tmp: Path) -> None:
    file = short_tmp / "told"
    configure(
        short_tmp,
        f'desktop = true\ncommand = "touch {file}"\nwebhook = "http://127.0.0.1:9/secret"',
    )
    code, out, _ = cockpit("notify")
    assert code == 1 and file.exists()
    lines = [line.split(maxsplit=2) for line in out.splitlines()]
    assert lines[0] == ["problem", "desktop", "no terminal here"]
    assert lines[1] == ["ok", "command"]
    assert lines[2][:2] == ["problem", "webhook"] and "127.0.0.1: it cannot be reached" in out
    assert "secret" not in out
    document = json.loads(cockpit("notify", "--json")[1])
    assert [each["ok"] for each in document["results"]] == [False, True, False]


@pytest.mark.parametrize("command", ["exec", "wait"])
def test_the_terminal_is_told_when_the_job_ends(
    cockpit: Say, short_tmp: Path, command: str
) -> None:
    configure(short_tmp, "bell = true\ndesktop = true\nmin_seconds = 0.0")
    if command == "exec":
        said = on_a_terminal("exec", "--gpus", "0", "--name", "nap", "--", "true")
    else:
        assert cockpit("exec", "--gpus", "0", "--name", "nap", "--detach", "--", "true")[0] == 0
        said = on_a_terminal("wait", "1")
    assert "\x1b]9;Job 1 (nap) COMPLETED\a\a" in said
    configure(short_tmp, "bell = true\nmin_seconds = 3600.0")
    assert "\a" not in on_a_terminal("wait", "1")


def test_a_job_can_be_told_of_in_any_case_or_in_none(cockpit: Say, short_tmp: Path) -> None:
    configure(short_tmp, "bell = true\nmin_seconds = 3600.0")
    assert "\a" in on_a_terminal("exec", "--notify", "--gpus", "0", "--", "true")
    configure(short_tmp, "bell = true\nmin_seconds = 0.0")
    assert "\a" not in on_a_terminal("exec", "--no-notify", "--gpus", "0", "--", "true")
