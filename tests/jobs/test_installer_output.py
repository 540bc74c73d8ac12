"""What uv draws becomes lines and a count; what it says when it fails becomes a reason with advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.agent.environments.drawn import Drawn
from cockpit.agent.environments.explain import explain

SPINNER = "\r\x1b[2K⠙ Preparing packages... ({}/11)" + " " * 50
BAR = "\x1b[2m{}              \x1b[0m \x1b[32m------------------------------\x1b[0m {}/{}"


def test_lines_that_stay_are_told_and_what_is_drawn_over_is_not() -> None:
    drawn = Drawn()
    text = (
        "\x1b[2mUsing Python 3.11.7 environment at: v\x1b[0m\r\n⠋ Resolving dependencies...   "
        "\r\x1b[2K⠙ rich==15.0.0  \r\x1b[2KResolved 11 packages in 432ms\r\n"
    )
    assert list(drawn.feed(text)) == [
        "Using Python 3.11.7 environment at: v",
        "Resolved 11 packages in 432ms",
    ]
    assert drawn.progress == ""


def test_packages_are_counted_and_each_download_is_told_once() -> None:
    drawn = Drawn()
    assert list(drawn.feed(SPINNER.format(0))) == []
    assert drawn.progress == "0 of 11 packages"
    first = SPINNER.format(4) + BAR.format("torch", "12.5 MiB", "880.1 MiB")
    small = BAR.format("idna", "1.0 KiB", "66.5 KiB")
    assert list(drawn.feed(first + small)) == ["Downloading torch (880.1 MiB)"]
    assert drawn.progress == "4 of 11 packages, torch 12.5 MiB of 880.1 MiB"
    again = SPINNER.format(5) + BAR.format("torch", "99.0 MiB", "880.1 MiB")
    assert list(drawn.feed(again)) == []
    assert drawn.progress == "5 of 11 packages, torch 99.0 MiB of 880.1 MiB"
    assert list(drawn.feed("\r\x1b[2KPrepared 11 packages in 1s\r\n")) == [
        "Prepared 11 packages in 1s"
    ]


def test_output_that_comes_in_pieces_is_the_same() -> None:
    text = f"{SPINNER.format(1)}\r\x1b[2KPrepared 11 packages in 1s\r\nInstalled 11 packages"
    drawn = Drawn()
    lines = [line for letter in text for line in drawn.feed(letter)]
    assert [*lines, *drawn.close()] == ["Prepared 11 packages in 1s", "Installed 11 packages"]
    assert drawn.progress == "1 of 11 packages"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            "error: Failed to install: large-1.0-py3-none-any.whl (large==1.0)\n"
            "  cause: failed to copy file: No space left on device (os error 28)",
            "space",
            ["the disk is full", "MiB are free", "cockpit environments rm"],
        ),
        (
            "error: No solution found when resolving dependencies\n"
            "  cause: Because rich was not found in the cache and you require rich, we can\n"
            "         conclude that your requirements are unsatisfiable.\n\n"
            "hint: Packages were unavailable because the network was disabled.",
            "offline",
            ["rich is not in uv's cache", "cockpit environments build", "offline = false"],
        ),
        (
            "error: Request failed after 3 retries in 5.5s\n"
            "  cause: Failed to fetch: https://pypi.org/simple/alpha/\n"
            "  cause: error sending request for url (https://pypi.org/simple/alpha/)\n"
            "  cause: dns error\n"
            "  cause: failed to lookup address information: Name or service not known",
            "network",
            ["pypi.org cannot be reached (failed to lookup address information: Name or"],
        ),
        (
            "ERROR: Could not install packages due to an OSError: HTTPSConnectionPool("
            "host='pypi.org', port=443): Max retries exceeded: Failed to establish a new connection",
            "network",
            ["pypi.org cannot be reached"],
        ),
        (
            "ERROR: Package 'future' requires a different Python: 3.11.7 not in '>=3.99'",
            "python",
            ["future needs Python >=3.99", "and this is Python 3."],
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement nothing (from versions:"
            " none)\nERROR: No matching distribution found for nothing",
            "version",
            ["No matching distribution found for nothing"],
        ),
        (
            "ERROR: Cannot install a and b because these package versions have conflicting"
            " dependencies.\nERROR: ResolutionImpossible: for help visit https://pip.pypa.io",
            "conflict",
            ["exclude each other"],
        ),
        (
            "The virtual environment was not created successfully because ensurepip is not\n"
            "available.  On Debian/Ubuntu systems, you need to install the python3-venv package",
            "venv",
            ["apt install python3-venv", "pip install uv"],
        ),
        (
            "error: Failed to fetch\n  cause: HTTP status client error (401 Unauthorized) for url"
            " (https://private.example/simple/)",
            "access",
            ["private.example wants a name"],
        ),
        ("something\nunheard of", "other", ["something unheard of"]),
        ("", "other", ["it said nothing"]),
    ],
)
def test_a_failure_is_explained_with_what_to_do(
    said: str, kind: str, words: list[str], tmp_path: Path
) -> None:
    failure = explain(said.splitlines(), tmp_path / "not" / "there")
    assert failure.kind == kind
    for word in words:
        assert word in failure.text
