"""Outlook: below the form, what the field is for, what would become of it, and what the keys do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from cockpit.model import Prospect
from cockpit.tui.draw import Run
from cockpit.tui.keys import key_of
from cockpit.tui.launch.words import long_fate
from cockpit.tui.widgets.form import LaunchForm
from cockpit.tui.widgets.ink import theme_ink

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp


class Outlook(Vertical):
    """Four lines: a hint, the fate, the same as a command line, and what starts it."""

    app: CockpitApp
    DEFAULT_CSS = """
    Outlook { height: auto; }
    Outlook #hint { height: 2; color: $muted; }
    Outlook #fate { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    Outlook #same { height: auto; max-height: 2; color: $muted; }
    Outlook #deed { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def compose(self) -> ComposeResult:
        for name in ("hint", "fate", "same", "deed"):
            yield Static(id=name, markup=False)

    def clear(self) -> None:
        """Say nothing: there is no form."""
        for line in self.query(Static):
            line.update("")

    def say(self, form: LaunchForm, editing: bool) -> None:
        """What the form says, and what is wrong with it; `editing`: the keys are in the form."""
        muted = theme_ink(self.app, "muted")
        self._put("hint", form.hint())
        if form.problems:
            key, problem = next(iter(form.problems.items()))
            text = f"✗ {key.removeprefix('--')}: {problem}"
            self._put("deed", Text(text, style=theme_ink(self.app, "error")))
            self._put("same", "")
            return
        self._put("same", Text.assemble(("$ ", muted), (form.order.command_line(), muted)))
        keys = self.app.terminal.keys
        starts = "Enter" if editing else key_of("start", keys)
        copies = f"   {key_of('copy_command', keys)} copies the command line"
        more = copies if editing else f"   {key_of('open', keys)} fills in the form"
        self._put(
            "deed",
            Text.assemble(
                (starts, "bold"),
                f" launches {form.plugin.title}",
                (more, muted),
            ),
        )

    def foretell(self, fate: Prospect | None) -> None:
        """What would become of it; nothing while that is not known."""
        runs: tuple[Run, ...] = long_fate(fate) if fate else ()
        self._put(
            "fate", Text.assemble(*((said, theme_ink(self.app, front)) for said, front in runs))
        )

    def _put(self, name: str, words: Text | str) -> None:
        # The box may answer while the screen is closing, when the lines have gone.
        for line in self.query(f"#{name}").results(Static):
            line.update(words)
