"""Figures that are no longer of the present are dimmed on every screen, with age and reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_box import NOW_S, uuid
from rich.style import Style
from story_box import settle, story_box, until
from textual.color import Color
from textual.geometry import Region
from textual.screen import Screen

from cockpit.client import Connected, Disconnected
from cockpit.settings import TerminalSettings
from cockpit.tui.app import CockpitApp
from cockpit.tui.screens.events import EventsScreen
from cockpit.tui.screens.gpu import GpuScreen
from cockpit.tui.screens.job import JobScreen
from cockpit.tui.screens.jobs import JobsScreen
from cockpit.tui.screens.launch import LaunchScreen
from cockpit.tui.widgets.banner import Banner
from cockpit.tui.widgets.header import Header
from cockpit.tui.widgets.ink import Inked
from cockpit.tui.widgets.tabs import TabLine

LOST = Disconnected("the agent closed the connection", "run `cockpit doctor`", NOW_S)


class Clock:
    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def header_of(screen: Screen[object]) -> str:
    header = screen.query_one(Header)
    return header.render_lines(Region(0, 0, header.size.width, 1))[0].text


def strength(style: Style) -> float:
    """How far a colour stands from the background of midnight."""
    assert style.color is not None and style.color.triplet is not None
    ground = Color.parse("#0b0f1a")
    return sum(abs(a - b) for a, b in zip(style.color.triplet, ground.rgb, strict=True))


@pytest.mark.parametrize("theme", ["midnight", "ansi"])
@pytest.mark.parametrize(
    "make", [JobsScreen, EventsScreen, lambda: JobScreen("43"), lambda: GpuScreen(uuid(2))]
)
async def test_stale_figures_are_dimmed_with_their_age(
    make: Callable[[], Screen[object]], theme: str
) -> None:
    clock = Clock()
    app = CockpitApp(story_box(), TerminalSettings(theme=theme), clock=clock)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        await app.push_screen(make())
        await settle(pilot)
        widgets = list(app.screen.walk_children(Inked))
        before = {widget: widget.ink("foreground") for widget in widgets}
        clock.now_s += 7
        app.show_shell(app.screen)
        assert "7 s old" in header_of(app.screen)
        for widget in widgets:
            now, was = widget.ink("foreground"), before[widget]
            if isinstance(widget, TabLine):
                assert now == was
            elif theme == "ansi":
                assert now.dim and not was.dim
            else:
                assert strength(now) < 0.6 * strength(was)


@pytest.mark.parametrize(
    "make",
    [JobsScreen, EventsScreen, LaunchScreen, lambda: JobScreen("43"), lambda: GpuScreen(uuid(2))],
)
async def test_every_screen_says_why_nothing_comes_in_and_that_it_tries_again(
    make: Callable[[], Screen[object]],
) -> None:
    box, clock = story_box(), Clock()
    app = CockpitApp(box, TerminalSettings(), clock=clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await app.push_screen(make())
        box.push(LOST)
        banner = app.screen.query_one(Banner)
        await until(pilot, lambda: banner.display)
        said = str(banner.content)
        assert "the agent closed the connection" in said and "Reconnecting" in said
        assert "cockpit doctor" in said
        clock.now_s += 20
        app.show_shell(app.screen)
        assert "DISCONNECTED" in header_of(app.screen) and "20 s old" in header_of(app.screen)
        assert app.live.box is not None
        box.push(Connected(app.live.box))
        await until(pilot, lambda: not banner.display)
