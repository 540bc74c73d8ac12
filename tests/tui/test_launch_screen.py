"""Choosing a plugin, its form, and launching it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_box import uuid
from story_box import settle, story_app, story_box, until
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from cockpit.errors import BoxError
from cockpit.parameters import Parameter
from cockpit.plugins import BrokenPlugin, Found, GpuNeed, Plugin
from cockpit.tui.screens.job import JobScreen
from cockpit.tui.screens.launch import LaunchScreen, command_line
from cockpit.tui.widgets.form import GPUS, Field, ParameterForm, gpu_wish

Compare = Callable[..., bool]

TUNNEL = Plugin(
    name="tunnel",
    title="Wind tunnel",
    summary="Flow past a cylinder",
    kind="simulation",
    command=("python", "workload.py"),
    directory=Path("/plugins/tunnel"),
    gpus=GpuNeed(0, 1, 2),
    parameters=(
        Parameter("nx", "int", 256, 16, 4096, "cells", "Length of the tunnel"),
        Parameter("speed", "float", 0.1, 0.0, 0.3, "", "Of the stream"),
        Parameter("shape", "choice", "cylinder", choices=("cylinder", "sphere")),
        Parameter("save", "bool", False),
    ),
)
FOUND = Found((TUNNEL,), (BrokenPlugin("bad", Path("/plugins/bad"), "plugin.toml: no command"),))


def app_with(box: Any = None) -> Any:
    return story_app(box, load_plugins=lambda: FOUND)


async def open_form(pilot: Pilot[Any]) -> LaunchScreen:
    await settle(pilot)
    await pilot.press("L")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, LaunchScreen)
    await until(pilot, lambda: bool(screen.query(Field)))
    await pilot.press("enter")
    return screen


def text_of(screen: LaunchScreen, name: str) -> str:
    return str(screen.query_one(f"#{name}", Static).content)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_launch(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await open_form(pilot)
        await pilot.press("down", "down")
        pilot.app.screen.focused.cursor_blink = False  # type: ignore[union-attr]
        await pilot.pause()

    assert snap_compare(app_with(), terminal_size=size, run_before=look)


async def test_the_form_has_a_field_with_the_default_of_each_parameter() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        texts = screen.query_one(ParameterForm).texts
        assert texts == {
            GPUS: "1",
            "nx": "256",
            "speed": "0.1",
            "shape": "cylinder",
            "save": "false",
        }


async def test_a_wrong_value_is_told_while_it_is_typed_and_nothing_is_launched() -> None:
    box = story_box()
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        await pilot.press("down", "end", "9", "9")
        assert "nx" in screen.query_one(ParameterForm).problems
        assert "from 16 to 4096" in text_of(screen, "deed")
        await pilot.press("enter")
        assert pilot.app.screen is screen
        assert box.submitted == []


async def test_the_same_command_line_is_shown_and_quoted() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        assert text_of(screen, "same") == "$ cockpit run tunnel --gpus 1"
        await pilot.press("down", "end", *["backspace"] * 3, *"512")
        assert text_of(screen, "same") == "$ cockpit run tunnel --gpus 1 --nx 512"
    assert command_line("x", "2", {"--note": "two words", "--low": "-1"}) == (
        "cockpit run x --gpus 2 --note 'two words' --low=-1"
    )


async def test_choices_are_gone_through_with_the_arrows() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        await pilot.press("down", "down", "down", "right")
        assert screen.query_one(ParameterForm).texts["shape"] == "sphere"
        await pilot.press("down", "space")
        assert screen.query_one(ParameterForm).texts["save"] == "true"


async def test_enter_launches_and_opens_the_job() -> None:
    box = story_box()
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        await open_form(pilot)
        await pilot.press("end", "backspace", *"3,6")
        await pilot.press("down", "end", *["backspace"] * 3, *"512", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        (request,) = box.submitted
        assert request.plugin == "tunnel"
        assert request.parameters["nx"] == 512 and request.parameters["shape"] == "cylinder"
        assert request.gpus == (uuid(3), uuid(6))


async def test_a_refusal_of_the_box_is_said_and_the_form_stays() -> None:
    class Full(type(story_box())):  # type: ignore[misc]
        async def submit(self, request: Any) -> Any:
            raise BoxError("no GPU is free", "wait, or stop a job")

    box = story_box()
    box.__class__ = Full
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: bool(pilot.app._notifications))
        assert any("no GPU is free" in note.message for note in pilot.app._notifications)
        assert pilot.app.screen is screen


async def test_a_broken_plugin_is_listed_with_its_reason() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        screen.query_one(OptionList).highlighted = 1
        await until(pilot, lambda: "broken" in text_of(screen, "title"))
        assert "plugin.toml: no command" in text_of(screen, "title")
        assert not screen.query(Field)


@pytest.mark.parametrize(
    ("text", "wish"), [("2", 2), ("0", 0), ("0,3", (0, 3)), ("3,", (3,)), (" 1 ", 1)]
)
def test_gpus_are_wished_for_as_on_the_command_line(text: str, wish: Any) -> None:
    assert gpu_wish(text, TUNNEL, 10) == wish


@pytest.mark.parametrize("text", ["", "x", "3", "0,1,2", "0,12", ",", "-1", "1.5"])
def test_a_wish_that_cannot_be_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"wants|runs on|no GPU"):
        gpu_wish(text, TUNNEL, 10)
