"""The banner: one line over a screen while the box cannot be reached."""

from __future__ import annotations

from textual.widgets import Static

from cockpit.tui.live import Live
from cockpit.tui.phrases import time_of_day


class Banner(Static):
    """Says why nothing comes in, since when, and what to do. It lies over the screen, so that
    nothing moves when it comes."""

    DEFAULT_CSS = """
    Banner {
        display: none;
        layer: banner;
        dock: bottom;
        width: 100%;
        height: auto;
        max-height: 4;
        margin-bottom: 1;
        padding: 0 1;
        background: $panel;
        color: $error;
        border-left: outer $error;
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._said = ""

    def show_live(self, live: Live) -> None:
        """Follow the connection."""
        lost = live.disconnected
        said = ""
        if lost is not None:
            since = time_of_day(lost.since_s)
            said = f"✗ Disconnected since {since}: {lost.reason}. Reconnecting…"
            said += f"\n  {lost.advice}" if lost.advice else ""
        if said != self._said:
            self._said = said
            self.update(said)
            self.display = bool(said)
