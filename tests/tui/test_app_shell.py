"""The shell around the screens: help, palette, themes, keys, pictures, memory, the way out."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from fake_box import NOW_S, FakeBox
from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from cockpit.settings import TerminalSettings
from cockpit.tui import keys
from cockpit.tui.app import CockpitApp
from cockpit.tui.memory import Memory
from cockpit.tui.screens.help import HelpScreen
from cockpit.tui.screens.themes import ThemesScreen
from cockpit.tui.screens.wall import WallScreen
from cockpit.tui.widgets.keybar import KeyBar


def app_of(settings: TerminalSettings | None = None) -> CockpitApp:
    return CockpitApp(FakeBox.of(), settings, clock=lambda: NOW_S)


def test_no_key_does_two_things_in_one_place() -> None:
    for place in keys.PLACES:
        seen: dict[str, str] = {}
        for action in keys.actions(place):
            for key in action.keys.split(","):
                assert key not in seen, f"{key} is {seen.get(key)} and {action.name} in {place}"
                seen[key] = action.name
        assert not set("0123456789") & set(seen)


def test_vim_keys_only_ever_move() -> None:
    for place in keys.LISTS:
        moves = {
            key: action.name for action in keys.actions(place) for key in action.keys.split(",")
        }
        assert [moves[key] for key in "hjkl"] == ["left", "down", "up", "right"]


async def test_help_lists_the_keys_of_this_place_and_runs_the_chosen_one() -> None:
    app = app_of()
    async with app.run_test(size=(100, 32)) as pilot:
        await pilot.press("?")
        assert isinstance(app.screen, HelpScreen)
        assert app.screen.query_one(OptionList).option_count == len(keys.actions("wall")) + 1
        await pilot.press(*"theme", "enter")
        await pilot.pause()
        assert isinstance(app.screen, ThemesScreen)


async def test_help_shows_the_keys_that_the_user_chose() -> None:
    app = app_of(TerminalSettings(keys={"help": "z", "launch": "f5"}))
    async with app.run_test(size=(100, 32)) as pilot:
        await pilot.press("z")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press(*"launch")
        assert "f5" in str(app.screen.query_one(OptionList).get_option_at_index(0).prompt).lower()


async def test_a_key_for_no_action_is_told() -> None:
    app = app_of(TerminalSettings(keys={"lunch": "x"}))
    async with app.run_test(size=(100, 32)):
        assert any("lunch" in notice.message for notice in app._notifications)


async def test_the_palette_knows_gpus_jobs_and_themes() -> None:
    app = app_of()
    async with app.run_test(size=(100, 32)) as pilot:
        await pilot.pause()
        for words in ("Theme: Ember", "Job #43", "GPU 7"):
            await pilot.press("ctrl+p")
            assert isinstance(app.screen, CommandPalette)
            app.screen.query_one(Input).value = words
            found = app.screen.query_one(OptionList)
            while not any(words in str(option.prompt) for option in found.options):
                await pilot.pause()
            await pilot.press("escape")
            await pilot.pause()


async def test_a_theme_is_previewed_kept_with_enter_and_given_back_with_escape() -> None:
    app = app_of()
    async with app.run_test(size=(100, 32)) as pilot:
        await pilot.press("T")
        await pilot.pause()
        assert app.theme == "midnight"
        await pilot.press(*"ember")
        await pilot.pause()
        assert app.theme == "ember"
        await pilot.press("escape")
        await pilot.pause()
        assert app.theme == "midnight"
        await pilot.press("T", *"light", "enter")
        await pilot.pause()
        assert app.theme == "light"
    assert Memory().text("theme") == "light"
    assert app_of().theme == "light"
    assert app_of(TerminalSettings(theme="ember")).theme == "ember"


async def test_without_colour_every_state_still_has_its_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        colours = {
            segment.style.color.triplet
            for strip in app.screen._compositor.render_strips(app.size)
            for segment in strip
            if segment.style and segment.style.color and segment.style.color.triplet
        }
        assert all(max(colour) - min(colour) <= 2 for colour in colours)
        for word in ("HOT", "link", "x8", "cap", "idle"):
            assert word in app.export_screenshot()


async def test_a_picture_is_saved_and_its_place_told(private_home: Path) -> None:
    (private_home / "Pictures").mkdir()
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await pilot.pause()
        [picture] = (private_home / "Pictures").glob("cockpit-*.svg")
        assert "SIMULATED" in picture.read_text()
        assert any(str(picture) in notice.message for notice in app._notifications)


async def test_a_click_on_a_key_does_what_it_says() -> None:
    app = app_of()
    async with app.run_test(size=(100, 32)) as pilot:
        await pilot.pause()
        bar = app.screen.query_one(KeyBar)
        start = next(start for start, _, action in bar._spots if action.name == "help")
        await pilot.click(KeyBar, offset=(start, 0))
        assert isinstance(app.screen, HelpScreen)


async def test_a_digit_without_a_gpu_says_which_there_are() -> None:
    app = CockpitApp(FakeBox.of(2), clock=lambda: NOW_S)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("7")
        assert isinstance(app.screen, WallScreen)
        assert any("no GPU 7: it has 0 to 1" in notice.message for notice in app._notifications)


async def test_q_leaves() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0


def test_what_was_chosen_is_remembered_over_starts() -> None:
    Memory().set("sort", "power")
    assert Memory().text("sort") == "power"
    assert Memory().get("sort", 3) == 3


@pytest.mark.parametrize("content", ["{", "[1]", '{"theme": {"a": 1}}', "\x00"])
def test_a_spoiled_memory_is_ignored_and_told(content: str) -> None:
    path = Memory().path
    path.parent.mkdir(parents=True)
    path.write_text(content)
    memory = Memory()
    assert memory.text("theme", "midnight") == "midnight"
    assert memory.notice or json.loads(content)


def test_a_disk_that_refuses_is_no_failure(private_home: Path) -> None:
    blocked = private_home / "file"
    blocked.write_text("")
    memory = Memory(blocked / "terminal.json")
    memory.set("theme", "light")
    assert memory.text("theme") == "light"
    assert memory.notice


_CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from fake_box import FakeBox
from cockpit.settings import TerminalSettings
from cockpit.tui import run
raise SystemExit(run([FakeBox.of()], TerminalSettings()))
"""


@pytest.mark.parametrize("hangup", ["ignored", "default"])
def test_a_terminal_that_vanishes_ends_the_app(hangup: str) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-c", _CHILD, str(Path(__file__).parent)]
    shell = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    child = subprocess.Popen(
        shell if hangup == "ignored" else command,
        stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        seen = b""
        while b"SIMULATED" not in seen:
            seen += os.read(master, 65536)
        os.close(master)
        assert child.wait(timeout=30) is not None
    finally:
        child.kill()
        child.wait()
