"""What a role may not do is not offered on any screen, and does nothing when it is tried."""

from __future__ import annotations

import pytest
from fake_box import FakeBox

from cockpit.roles import ROLES, Role
from cockpit.tui import keys
from cockpit.tui.app import CockpitApp
from cockpit.tui.providers import CockpitCommands


def test_every_acting_action_is_there() -> None:
    assert {action.name for action in keys.ACTIONS} >= keys.ACTING


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("place", keys.PLACES)
def test_a_place_offers_what_the_role_may_do(place: keys.Place, role: Role) -> None:
    offered = {action.name for action in keys.actions(place, role)}
    everything = {action.name for action in keys.actions(place)}
    assert offered == (everything - keys.ACTING if role == "viewer" else everything)
    assert {action.name for action in keys.footer(place, role=role)} <= offered | {"gpu"}


@pytest.mark.parametrize("run", ["launch", "app.launch", "screen.stop", "stop", "requeue"])
def test_an_action_is_refused_however_it_is_named(run: str) -> None:
    assert keys.refused(run, "viewer") is not None
    assert keys.refused(run, "operator") is None
    assert keys.refused("go('jobs')", "viewer") is None


async def test_a_viewer_opens_no_form_and_the_palette_names_none() -> None:
    app = CockpitApp(FakeBox.of(2), role="viewer")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("L")
        await pilot.pause()
        assert app.screen.place == "wall"
        app.action_launch("cfd")
        await pilot.pause()
        assert app.screen.place == "wall"
        commands = CockpitCommands(app.screen)
        await commands.startup()
        words = [text for text, *_ in commands._everything("")]
        assert not any(text.startswith("Launch") for text in words)
        assert any(text.startswith("Theme") for text in words)
