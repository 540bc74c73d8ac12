"""Choosing a plugin, its form, and launching it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from busy_box import ended
from fake_box import FakeBox, sliced, snapshot, uuid
from fake_box import gpu as card
from story_box import settle, story_app, story_box, until
from textual.pilot import Pilot
from textual.widgets import Static

from cockpit.errors import BoxError
from cockpit.model import JobRequest, Prospect
from cockpit.parameters import Parameter
from cockpit.plugins import BrokenPlugin, Found, GpuNeed, Plugin, Preset
from cockpit.tui.launch.gallery import Gallery
from cockpit.tui.launch.order import GPUS, Order, gpu_wish
from cockpit.tui.screens.job import JobScreen
from cockpit.tui.screens.launch import LaunchScreen
from cockpit.tui.widgets.editors import Choice, Field, Fold
from cockpit.tui.widgets.form import LaunchForm
from cockpit.tui.widgets.gpu_strip import GpuStrip
from cockpit.tui.widgets.keybar import KeyBar

Compare = Callable[..., bool]
SIZES = [(80, 24), (120, 40), (200, 60)]

TUNNEL = Plugin(
    name="tunnel",
    title="Wind tunnel",
    summary="Flow past a cylinder or a sphere by a lattice-Boltzmann kernel, live",
    kind="simulation",
    command=("python", "workload.py"),
    directory=Path("/plugins/tunnel"),
    requires=("warp-lang==1.19.0", "numpy>=2"),
    gpus=GpuNeed(0, 1, 2),
    parameters=(
        Parameter("nx", "int", 256, 16, 4096, "cells", "Length of the tunnel"),
        Parameter("speed", "float", 0.1, 0.0, 0.3, "", "Of the stream"),
        Parameter("shape", "choice", "cylinder", choices=("cylinder", "sphere")),
        Parameter("save", "bool", False),
        Parameter("mesh", "path", "", help="What stands in the stream, as an STL file"),
    ),
    presets=(
        Preset("street", "Vortex street", parameters={"nx": 1024, "speed": 0.05}, gpus=2),
        Preset("quick", "Quick look", parameters={"nx": 64}),
    ),
)
CHAT = Plugin(
    name="chat",
    title="Chat with a model",
    summary="A chat server for one or many people",
    kind="llm",
    command=("python", "workload.py"),
    directory=Path("/plugins/chat"),
    gpus=GpuNeed(1, 4, 8),
    parameters=(Parameter("model", "str", None, help="Which model"),),
)
HUGE = Plugin(
    *("huge", "Huge model", "Trains what no box can hold", "training", ("true",)),
    directory=Path("/plugins/huge"),
    gpus=GpuNeed(12, 12, 16),
)
BAD = BrokenPlugin("bad", Path("/plugins/bad"), "plugin.toml: command: wants a list of text")
FOUND = Found((TUNNEL, CHAT, HUGE), (BAD,))


def app_with(box: Any = None, found: Found = FOUND) -> Any:
    return story_app(box, load_plugins=lambda: found)


async def open_launch(pilot: Pilot[Any], plugin: str = "") -> LaunchScreen:
    await settle(pilot)
    pilot.app.action_launch(plugin)
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, LaunchScreen)
    await until(pilot, lambda: bool(screen.gallery.fates) or not screen._entries)
    return screen


async def open_form(pilot: Pilot[Any], plugin: str = "tunnel") -> LaunchScreen:
    screen = await open_launch(pilot, plugin)
    await pilot.press("enter")
    await pilot.pause()
    for field in screen.query(Field):
        field.cursor_blink = False
    return screen


def form_of(screen: LaunchScreen) -> LaunchForm:
    assert screen.form is not None
    return screen.form


def put(screen: LaunchScreen, **texts: str) -> None:
    form_of(screen).put(form_of(screen).texts | {GPUS: texts.pop("gpus", "1")} | texts)


def text_of(screen: LaunchScreen, name: str) -> str:
    return str(screen.query_one(f"#{name}", Static).content)


def listed(screen: LaunchScreen) -> str:
    gallery = screen.query_one(Gallery)
    return "\n".join("".join(text for text, _ in runs) for runs, _ in gallery._lines)


# Pictures


@pytest.mark.parametrize("size", SIZES)
def test_gallery(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        screen = await open_launch(pilot, "tunnel")
        await until(pilot, lambda: "starts" in text_of(screen, "fate"))

    assert snap_compare(app_with(), terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["error", "preset", "fold"])
def test_form(snap_compare: Compare, state: str, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        screen = await open_form(pilot)
        if state == "error":
            await pilot.press("down", "down", "end", *"999999")
        elif state == "preset":
            await pilot.press("up", "right")
            await until(pilot, lambda: "waits" in text_of(screen, "fate"))
        else:
            screen.query_one(Fold).focus()
            await pilot.press("enter", *["down"] * 6, *"2h")
            await until(pilot, lambda: "starts" in text_of(screen, "fate"))
        await pilot.pause()

    assert snap_compare(app_with(), terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_a_broken_one(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        screen = await open_launch(pilot)
        await pilot.press("G")
        await until(pilot, lambda: "broken" in text_of(screen, "title"))

    assert snap_compare(app_with(), terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_no_plugins(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await open_launch(pilot)

    assert snap_compare(app_with(found=Found((), ())), terminal_size=size, run_before=look)


# The gallery


async def test_each_plugin_says_what_it_needs_and_whether_it_fits_now() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_launch(pilot)
        said = listed(screen)
        assert "▶ Wind tunnel" in said and "0-2 GPUs" in said
        assert "starts at once, builds its environment" in said
        assert "○ Chat with a model" in said and "would wait: 4 GPUs: 1 of 10 free" in said
        assert "✗ Huge model" in said and "cannot run here: this box has 10 GPUs" in said
        assert [kind in said for kind in ("llm ─", "simulation ─", "broken ─")] == [True] * 3


async def test_the_search_narrows_the_list_and_opens_the_form_of_what_is_left() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_launch(pilot)
        for words, found in (
            ("lattice live", ["tunnel"]),
            ("warp", ["tunnel"]),
            ("training", ["huge"]),
            ("chat", ["chat"]),
            ("broken command", ["bad"]),
        ):
            await pilot.press("slash", *words.replace(" ", "~").split("~")[0])
            for word in words.split()[1:]:
                await pilot.press("space", *word)
            await pilot.press("enter")
            assert [entry.name for entry in screen.gallery.entries] == found, words
            await pilot.press("escape")
            assert len(screen.gallery.entries) == 4
        await pilot.press("slash", *"nosuch", "enter")
        await pilot.pause()
        assert "No plugin has 'nosuch'" in text_of(screen, "title") and screen.form is None


async def test_a_click_chooses_and_a_second_one_opens_the_form() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_launch(pilot, "tunnel")
        line = next(n for n, row in enumerate(listed(screen).splitlines()) if "Chat" in row)
        await pilot.click(Gallery, offset=(8, line))
        await until(pilot, lambda: screen.form is not None and screen.form.plugin is CHAT)
        await pilot.click(Gallery, offset=(8, line))
        await until(pilot, lambda: isinstance(screen.focused, Field))


async def test_without_plugins_it_says_how_to_make_one() -> None:
    async with app_with(found=Found((), ())).run_test(size=(120, 40)) as pilot:
        screen = await open_launch(pilot)
        assert "cockpit plugins new" in text_of(screen, "title")
        await pilot.press("j", "enter", "ctrl+s", "y", "escape")
        assert pilot.app.screen is not screen


# The form


async def test_the_form_has_a_field_with_the_default_of_each_parameter() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        texts = form_of(await open_form(pilot)).texts
        expected = {GPUS: "1", "nx": "256", "speed": "0.1", "shape": "cylinder", "save": "false"}
        assert {key: texts[key] for key in expected} == expected


async def test_a_wrong_value_is_told_while_it_is_typed_and_nothing_is_launched() -> None:
    box = story_box()
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        await pilot.press("down", "down", "end", "9", "9")
        assert "nx" in form_of(screen).problems
        assert "from 16 to 4096" in text_of(screen, "deed")
        await pilot.press("enter")
        assert pilot.app.screen is screen and box.submitted == []


async def test_what_has_no_default_must_be_said_and_the_cursor_goes_there() -> None:
    box = story_box()
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot, "chat")
        await pilot.press("enter")
        assert isinstance(screen.focused, Field) and screen.focused.key == "model"
        assert "model: wants text" in text_of(screen, "deed") and box.submitted == []


async def test_choices_and_switches_are_set_by_keys_and_by_clicks() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        await pilot.press(*["down"] * 4, "right")
        assert form_of(screen).texts["shape"] == "sphere"
        await pilot.press("down", "space")
        assert form_of(screen).texts["save"] == "true"
        choice = next(each for each in screen.query(Choice) if each.key == "shape")
        await pilot.click(choice, offset=(3, 0))
        assert form_of(screen).texts["shape"] == "cylinder"


async def test_many_choices_open_a_list_that_is_searched() -> None:
    names = tuple(f"model-{n:02d}-with-a-long-name" for n in range(30))
    many = replace(CHAT, parameters=(Parameter("model", "choice", names[0], choices=names),))
    async with app_with(found=Found((many,), ())).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot, "chat")
        await pilot.press("down", "down", "space")
        assert pilot.app.screen is not screen
        await pilot.press(*"17", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert form_of(screen).texts["model"] == names[17]


async def test_a_preset_fills_the_form_and_a_change_makes_it_none() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        form = form_of(screen)
        start = next(each for each in screen.query(Choice) if each.key == "start from")
        assert start.text == "defaults"
        await pilot.press("up", "right")
        await until(pilot, lambda: form.texts["nx"] == "1024")
        assert form.texts[GPUS] == "2" and form.texts["speed"] == "0.05"
        assert start.text == "preset street"
        put(screen, nx="1000")
        await until(pilot, lambda: start.text == "")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: form.texts["nx"] == "256" and start.text == "defaults")


async def test_what_was_launched_last_is_there_the_next_time() -> None:
    box = story_box()
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        put(screen, nx="512", shape="sphere")
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        await pilot.press("escape")
        screen = await open_launch(pilot)
        assert screen.gallery.chosen is TUNNEL
        assert form_of(screen).texts["nx"] == "512" and form_of(screen).texts["shape"] == "sphere"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: form_of(screen).texts["nx"] == "256")


async def test_the_box_is_asked_what_would_become_of_it_as_it_stands_there() -> None:
    box = story_box()
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        await until(pilot, lambda: "starts at once on GPU 9" in text_of(screen, "fate"))
        assert "its environment is built first" in text_of(screen, "fate")
        await until(pilot, lambda: screen.query_one(GpuStrip).likely == {9})
        await pilot.press("end", "backspace", "2")
        await until(pilot, lambda: "waits: 2 GPUs: 1 of 10 free" in text_of(screen, "fate"))
        asked = [call[1] for call in box.calls if call[0] == "prospect"][-1]
        assert asked.gpus == 2 and asked.plugin == "tunnel"
        assert box.submitted == []


async def test_gpus_are_taken_from_the_strip_by_key_digit_and_click() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        strip, form = screen.query_one(GpuStrip), form_of(screen)
        assert [slot.mark for slot in strip.slots] == ["●"] * 7 + ["▲", "▲", "○"]
        await pilot.press("down", "9")
        assert form.texts[GPUS] == "9,"
        await pilot.press("left", "space")
        await until(pilot, lambda: form.texts[GPUS] == "8,9")
        await pilot.click(GpuStrip, offset=(1, 0))
        await until(pilot, lambda: form.texts[GPUS] == "0,8,9")
        assert "runs on 0 to 2 GPUs, not on 3" in text_of(screen, "deed")
        for offset in (1, 41, 46):
            await pilot.click(GpuStrip, offset=(offset, 0))
        await until(pilot, lambda: form.texts[GPUS] == "1")


async def test_slices_are_asked_for_in_the_form_itself_where_the_box_has_some() -> None:
    box = story_box()
    cards = [card(index) for index in range(9)] + [sliced(9)]
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        box.push(snapshot(gpus=cards))
        await until(pilot, lambda: bool(pilot.app.live.snapshot.gpus[9].slices))
        screen = await open_form(pilot)
        row = next(row for row in form_of(screen).rows if row.key == "--slice")
        assert row.region.area and not screen.query_one(Fold).open
        assert screen.query_one(GpuStrip).slots[9].mark == "◫"


async def test_what_is_rarely_needed_folds_and_says_what_is_inside() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        fold = screen.query_one(Fold)
        assert "priority" in fold.summary and not screen.query_one("#rare").region.area
        await pilot.click(Fold)
        assert screen.query_one("#rare").region.area
        rows = {row.key: row.editor for row in form_of(screen).rows}
        rows["--priority"].put("5")
        rows["--time-limit"].put("2h")
        await pilot.click(Fold)
        await until(pilot, lambda: fold.summary == "priority 5, time limit 2h")
        assert "--priority 5 --time-limit 2h" in text_of(screen, "same")


async def test_a_path_says_whether_something_is_there(tmp_path: Path) -> None:
    (tmp_path / "wing.stl").write_text("solid")
    async with app_with().run_test(size=(200, 60)) as pilot:
        screen = await open_form(pilot)
        row = next(row for row in form_of(screen).rows if row.key == "mesh")
        for text, note in (
            (str(tmp_path / "wing.stl"), "✓ a file"),
            (str(tmp_path), "✓ a folder"),
            (str(tmp_path / "none"), "▲ nothing is there yet"),
        ):
            row.editor.put(text)
            await until(
                pilot, lambda note=note: str(row.query_one(".note", Static).content) == note
            )


async def test_the_command_line_is_shown_quoted_and_copied() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        assert text_of(screen, "same") == "$ cockpit run tunnel --gpus 1"
        put(screen, nx="512", **{"--name": "two words", "mesh": "-x"})
        line = "cockpit run tunnel --gpus 1 --name 'two words' --nx 512 --mesh=-x"
        await until(pilot, lambda: text_of(screen, "same") == f"$ {line}")
        await pilot.press("ctrl+y")
        assert pilot.app.clipboard == line
        await pilot.press("escape", "y")
        assert pilot.app.clipboard == line


# Launching


async def test_enter_launches_and_opens_the_job() -> None:
    box = story_box()
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        await open_form(pilot)
        await pilot.press("end", "backspace", *"3,6")
        await pilot.press("down", "down", "end", *["backspace"] * 3, *"512", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        (request,) = box.submitted
        assert request.plugin == "tunnel"
        assert request.parameters["nx"] == 512 and request.parameters["shape"] == "cylinder"
        assert request.gpus == (uuid(3), uuid(6))


async def test_enter_twice_makes_one_job_and_a_lost_answer_is_asked_for_with_the_same_token() -> (
    None
):
    class Slow(FakeBox):
        tries = 0

        async def submit(self, request: JobRequest) -> Any:
            type(self).tries += 1
            if type(self).tries == 1:
                self.submitted.append(request)
                raise BoxError("the agent closed the connection")
            return await super().submit(request)

    box = story_box()
    box.__class__ = Slow
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: not screen._launching)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        tokens = {request.token for request in box.submitted}
        assert len(tokens) == 1 and None not in tokens


async def test_a_refusal_of_the_box_is_said_and_the_form_stays() -> None:
    class Full(FakeBox):
        async def submit(self, request: JobRequest) -> Any:
            raise BoxError("no GPU is free", "wait, or stop a job")

    box = story_box()
    box.__class__ = Full
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        screen = await open_form(pilot)
        put(screen, nx="512")
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: bool(pilot.app._notifications))
        assert any("no GPU is free" in note.message for note in pilot.app._notifications)
        assert pilot.app.screen is screen and form_of(screen).texts["nx"] == "512"


async def test_from_the_screen_of_a_gpu_it_is_launched_on_that_one() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("6", "L")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, LaunchScreen)
        screen.gallery.select("tunnel")
        await until(pilot, lambda: screen.form is not None and screen.form.plugin is TUNNEL)
        await until(pilot, lambda: form_of(screen).texts[GPUS] == "6,")


async def test_an_ended_job_is_launched_again_with_changes() -> None:
    box = story_box()
    old = replace(ended()[0], plugin="tunnel")
    box.known_jobs[old.id] = old
    box.requests[old.id] = JobRequest(
        *("my run", ("python",), "tunnel"),
        gpus=(uuid(9),),
        priority=3,
        time_limit_s=7200.0,
        parameters={"nx": 1000, "speed": 0.2, "shape": "sphere", "save": True, "gone": 1},
    )
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("J")
        await settle(pilot)
        pilot.app.screen.table().select(old.id)  # type: ignore[attr-defined]
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen))
        screen = pilot.app.screen
        await until(pilot, lambda: screen.form is not None)
        assert text_of(screen, "same") == (
            "$ cockpit run tunnel --gpus 9, --name 'my run' --priority 3 --time-limit 7200s"
            " --nx 1000 --speed 0.2 --shape sphere --save true"
        )


async def test_the_palette_launches_by_name() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p", *"wind tunnel".replace(" ", ""))
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen))
        screen = pilot.app.screen
        await until(pilot, lambda: screen.form is not None and screen.form.plugin is TUNNEL)


async def test_a_box_that_cannot_be_asked_leaves_the_question_open() -> None:
    class Mute(FakeBox):
        async def prospect(self, request: JobRequest) -> Prospect:
            raise BoxError("the agent is away")

    box = story_box()
    box.__class__ = Mute
    async with app_with(box).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        pilot.app.action_launch("tunnel")
        await settle(pilot)
        screen = pilot.app.screen
        await pilot.press("enter")
        assert text_of(screen, "fate") == "" and "launches Wind tunnel" in text_of(screen, "deed")


@pytest.mark.parametrize(
    ("text", "wish"), [("2", 2), ("0", 0), ("0,3", (0, 3)), ("3,", (3,)), (" 1 ", 1)]
)
def test_gpus_are_wished_for_as_on_the_command_line(text: str, wish: Any) -> None:
    assert gpu_wish(text, TUNNEL, {index: uuid(index) for index in range(10)}) == wish


@pytest.mark.parametrize("text", ["", "x", "3", "0,1,2", "0,12", ",", "-1", "1.5", "1,1", "²"])
def test_a_wish_that_cannot_be_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"wants|runs on|no GPU|twice"):
        gpu_wish(text, TUNNEL, {index: uuid(index) for index in range(10)})


def test_a_shared_job_has_to_say_how_much_memory_it_needs() -> None:
    order = Order(TUNNEL, {GPUS: "1", "--shared": "true"}, {0: uuid(0)})
    assert "memory" in str(order.problems()) and "--gpu-memory" in order.problems()


async def test_the_line_of_keys_names_what_works_where_the_keys_are() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        screen = await open_launch(pilot, "tunnel")
        bar = screen.query_one(KeyBar)
        await until(pilot, lambda: "open" in named(bar))
        assert "jobs" in named(bar) and text_of(screen, "deed").startswith("^s launches")
        await pilot.press("enter")
        await until(pilot, lambda: "open" not in named(bar))
        assert "start" in named(bar) and "help" in named(bar) and "jobs" not in named(bar)
        assert text_of(screen, "deed").startswith("Enter launches")
        await pilot.press("escape")
        await until(pilot, lambda: "jobs" in named(bar))


def named(bar: KeyBar) -> set[str]:
    return {action.name for _, _, action in bar._spots}
