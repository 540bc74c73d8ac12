"""What `cockpit` does with a command line before any command runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit import __version__
from cockpit.cli import main as front_door
from cockpit.cli.command import Command
from cockpit.errors import BoxError, UsageError


def a_command(run) -> Command:
    return Command(lambda parser: None, run)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch):
    """Replace `status` by a function."""

    def replace(run) -> None:
        module = sys.modules[__name__]
        monkeypatch.setattr(module, "replaced", a_command(run), raising=False)
        table = {**front_door.COMMANDS, "status": ("x", f"{__name__}:replaced")}
        monkeypatch.setattr(front_door, "COMMANDS", table)

    return replace


def raising(error: BaseException):
    def run(arguments) -> int:
        raise error

    return run


def test_every_command_stands_in_one_group_of_the_help() -> None:
    grouped = [name for names in front_door.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(front_door.COMMANDS)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert front_door.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in front_door.COMMANDS)
    assert max(map(len, out.splitlines())) <= 80


def test_version_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert front_door.main(["--version"]) == 0
    assert capsys.readouterr().out == f"cockpit {__version__}\n"


@pytest.mark.parametrize(
    ("word", "meant"), [("stauts", "status"), ("jobbs", "jobs"), ("--simulat", "--simulate")]
)
def test_an_unknown_word_is_answered_with_the_nearest(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert front_door.main([word]) == 2
    captured = capsys.readouterr()
    assert f"`{word}`" in captured.err and f"`{meant}`" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (
            UsageError("no GPU 12", "There are 0 to 9."),
            2,
            "cockpit: no GPU 12\n  There are 0 to 9.\n",
        ),
        (BoxError("the agent is away"), 1, "cockpit: the agent is away\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_become_words_and_an_exit_code(
    command, error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    assert front_door.main(["status"]) == code
    assert capsys.readouterr().err == says


def test_a_fault_is_one_line_and_a_file(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("COCKPIT_DEBUG", raising=False)
    command(raising(ZeroDivisionError("by nothing")))
    assert front_door.main(["status"]) == 70
    captured = capsys.readouterr()
    details = tmp_path / "cockpit" / "crash.txt"
    assert captured.err.count("\n") == 1
    assert str(details) in captured.err and "Traceback" not in captured.err
    assert "ZeroDivisionError: by nothing" in details.read_text()


def test_a_fault_shows_its_traceback_on_request(
    command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COCKPIT_DEBUG", "1")
    command(raising(ZeroDivisionError("by nothing")))
    assert front_door.main(["status"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = (
        "import sys; from cockpit.cli import main as m; from cockpit.cli.command import Command\n"
        "import cockpit.cli.table as t\n"
        "t.load_command = lambda target: Command(lambda p: None, lambda a: print('x' * 10**7) or 0)\n"
        "sys.exit(m.main(['status']))"
    )
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "{sys.executable}" -c "$CODE" | head -c 10'],
        env={**os.environ, "CODE": code},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == b"x" * 10
    assert done.stderr == b""
    assert done.returncode == 141


def test_a_full_disk_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cockpit", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == b"cockpit: what was to be written does not fit: No space left on device\n"


def test_an_ascii_terminal_gets_question_marks_and_no_crash(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cockpit", "stätus"],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert b"there is no command `st?tus`" in done.stderr


def test_every_command_has_a_section_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "headless.md").read_text()
    titles = [line.removeprefix("### ") for line in guide.splitlines() if line.startswith("### ")]
    assert titles == list(dict.fromkeys(titles))
    assert sorted(titles) == sorted(front_door.COMMANDS)
