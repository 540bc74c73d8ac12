"""Themes: every shipped one loads and can be read; a broken one is told and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_box import NOW_S, FakeBox
from textual.color import Color
from textual.widgets import OptionList

from cockpit.settings import TerminalSettings
from cockpit.shipped import shipped
from cockpit.themes import ROLES, ThemeFile, load_themes, read_theme, theme_directories
from cockpit.tui.app import CockpitApp
from cockpit.tui.look import Look
from cockpit.tui.themes import STEPS

SHIPPED = sorted(path.stem for path in shipped("themes").glob("*.toml"))


def theme(name: str) -> ThemeFile:
    return read_theme(shipped("themes") / f"{name}.toml")


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(color: Color) -> float:
        parts = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
                 for value in color.normalized]  # fmt: skip
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_promised_themes_are_shipped() -> None:
    promised = {"dark", "light", "high-contrast", "colour-blind", "ansi", "midnight", "ember"}
    assert promised <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
async def test_every_shipped_theme_draws_the_wall(name: str) -> None:
    app = CockpitApp(FakeBox.of(), TerminalSettings(theme=name), clock=lambda: NOW_S)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.theme == name
        look = Look(app.theme_variables)
        assert {str(look.style(f"power:{step}")) for step in range(STEPS)}
        assert "llm-train" in app.export_screenshot()


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "ansi"])
@pytest.mark.parametrize("back", ["background", "surface", "panel"])
def test_words_are_readable_on_every_background(name: str, back: str) -> None:
    colors = {role: Color.parse(value) for role, value in theme(name).colors.items()}
    for role in ("foreground", "muted", "success", "warning", "error", "accent"):
        ratio = contrast(colors[role], colors[back])
        assert ratio >= (7 if role == "foreground" else 4), f"{role} on {back}: {ratio:.1f}"


def broken(tmp_path: Path, text: str, name: str = "mine") -> str:
    (tmp_path / f"{name}.toml").write_text(text)
    themes = load_themes([tmp_path])
    assert not themes.loaded
    return themes.broken[0].reason


def toml(**changes: str) -> str:
    colors = dict.fromkeys(ROLES, "#102030") | changes
    return "[colors]\n" + "".join(f'{role} = "{value}"\n' for role, value in colors.items())


def test_a_bad_colour_is_named_with_its_place(tmp_path: Path) -> None:
    assert "colors.primary is 'bluish'" in broken(tmp_path, toml(primary="bluish"))


def test_a_missing_colour_is_named(tmp_path: Path) -> None:
    assert broken(tmp_path, '[colors]\nbackground = "#000000"\n') == "colors.surface is missing"


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    assert "unknown key colors.blush" in broken(tmp_path, toml(blush="#102030"))


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    assert broken(tmp_path, "colors = [")


def test_scales_and_activity_have_defaults(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text(toml(success="#00ff00", error="#ff0000"))
    plain = load_themes([tmp_path]).loaded["plain"]
    assert plain.power[0] == "#00ff00"
    assert plain.heat[-1] == "#ff0000"
    assert plain.activity["sm"] == "#102030"


def test_a_theme_of_yours_replaces_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "midnight.toml").write_text('title = "Mine"\n' + toml())
    themes = load_themes(theme_directories([str(tmp_path)]))
    assert themes.loaded["midnight"].title == "Mine"


async def test_a_broken_theme_neither_stops_the_start_nor_hides(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(toml(primary="bluish"))
    settings = TerminalSettings(theme="mine", theme_directories=(str(tmp_path),))
    app = CockpitApp(FakeBox.of(), settings, clock=lambda: NOW_S)
    async with app.run_test(size=(80, 30)) as pilot:
        assert app.theme == "midnight"
        await pilot.press("T")
        await pilot.press(*"mine")
        await pilot.pause()
        listed = app.screen.query_one(OptionList)
        assert "colors.primary" in str(listed.get_option_at_index(0).prompt)
