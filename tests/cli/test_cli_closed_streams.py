"""`cockpit` started with a stream closed: no fault, and the exit code it would have had."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("themes", 0), ("nonsense", 2)])
def test_a_closed_stream_is_no_fault(
    cli_home: dict[str, str], closed: str, words: str, code: int
) -> None:
    line = f'"$0" -m cockpit {words} {closed}'
    ended = subprocess.run(["sh", "-c", line, sys.executable], env={**cli_home}, check=False)
    assert ended.returncode == code


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_where_one_stream_is_no_terminal_the_page_is_printed(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from cockpit.cli import terminal

    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal._why_not() is None
    monkeypatch.setattr(getattr(sys, name), "isatty", lambda: False)
    assert terminal._why_not() == "this is not a terminal"
