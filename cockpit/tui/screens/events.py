"""EventsScreen: what happened and when, newest first, and what to do about it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from cockpit.model import Event
from cockpit.tui import phrases
from cockpit.tui.keys import bindings
from cockpit.tui.live import News
from cockpit.tui.screens.listing import ListingScreen
from cockpit.tui.widgets.table import Column, Row, Table

COLUMNS: tuple[Column, ...] = (
    Column("time", 12),
    Column("", 1),
    Column("severity", 8),
    Column("kind", 8, drop=1),
    Column("where", 9),
    Column("what", 20, flex=True),
)


def event_rows(events: list[Event], now_s: float, needle: str) -> list[Row]:
    """Newest first; only those with every word of `needle` in what they say."""
    wanted = needle.casefold().split()
    rows = []
    for event in sorted(events, key=lambda event: (event.time_s, event.id), reverse=True):
        mark, word, ink = phrases.SEVERITY_MARKS[event.severity]
        text = f"{word} {event.kind} {_where(event)} {event.text} {event.advice}".casefold()
        if not all(part in text for part in wanted):
            continue
        rows.append(
            Row(
                f"{event.id}/{event.time_s}",
                (
                    (phrases.clock(event.time_s, now_s), "muted"),
                    (mark, ink),
                    (word, ink),
                    (event.kind, "muted"),
                    (_where(event), "primary" if _leads(event) else "muted"),
                    (event.text, "text"),
                ),
            )
        )
    return rows


def _where(event: Event) -> str:
    if event.gpu_index is not None:
        return f"GPU {event.gpu_index}"
    return f"#{event.job}" if event.job else "box"


def _leads(event: Event) -> bool:
    return event.gpu_uuid is not None or event.job is not None


class EventsScreen(ListingScreen):
    """Every event of the last day; Enter opens the GPU or the job that it is about."""

    place = "events"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("events")]
    DEFAULT_CSS = """
    EventsScreen #body { height: 1fr; padding: 0 1; }
    EventsScreen #summary { height: 1; margin-bottom: 1; }
    EventsScreen #detail { height: 4; margin-top: 1; }
    """

    def compose_body(self) -> ComposeResult:
        one = (Column("", flex=True),)
        with Vertical(id="body"):
            yield Table(one, header=False, cursor=False, id="summary")
            yield Table(COLUMNS, empty="Nothing has happened yet.", id="events")
            yield Table(one, header=False, cursor=False, id="detail")

    def on_screen_resume(self) -> None:
        self.refill()

    def on_live(self, news: News) -> None:
        """Show a new event at once."""
        if self.ready and (isinstance(news, Event) or not self.table().keys):
            self.refill()

    def table(self) -> Table:
        return self.query_one("#events", Table)

    def refill(self) -> None:
        events = list(self.app.live.events)
        self.table().show(event_rows(events, self.now_s, self.needle))
        counts = {
            word: sum(event.severity == severity for event in events)
            for severity, (_, word, _) in phrases.SEVERITY_MARKS.items()
        }
        shown = f"  showing those with “{self.needle}”" if self.needle else ""
        self.query_one("#summary", Table).show(
            [
                Row(
                    "",
                    (
                        (
                            ("Events", "text bold"),
                            (f"   ✗ {counts['critical']} critical", "error"),
                            (f"   ▲ {counts['warning']} warning", "warning"),
                            (f"   · {counts['info']} info", "muted"),
                            (shown, "accent"),
                        ),
                    ),
                )
            ]
        )
        self._show_detail()

    def on_table_moved(self, event: Table.Moved) -> None:
        if event.table.id == "events":
            self._show_detail()

    def on_table_chosen(self, event: Table.Chosen) -> None:
        chosen = self._selected()
        if chosen is None:
            return
        if chosen.gpu_uuid is not None:
            self.app.open_gpu(chosen.gpu_uuid)
        elif chosen.job is not None:
            self.app.open_job(chosen.job)
        else:
            self.notify("This event is about the box as a whole.", timeout=3)

    def _selected(self) -> Event | None:
        key = self.table().selected
        return next(
            (event for event in self.app.live.events if f"{event.id}/{event.time_s}" == key), None
        )

    def _show_detail(self) -> None:
        event = self._selected()
        if event is None:
            self.query_one("#detail", Table).show([])
            return
        mark, word, ink = phrases.SEVERITY_MARKS[event.severity]
        age = phrases.length(self.now_s - event.time_s)
        leads = "Enter opens it" if _leads(event) else ""
        lines = (
            (
                (f"{mark} {word}", f"{ink} bold"),
                (f"  {_where(event)}  {age} ago  {leads}", "muted"),
            ),
            ((event.text, "text"),),
            ((event.advice or "Nothing needs to be done.", "text" if event.advice else "muted"),),
        )
        self.query_one("#detail", Table).show([Row("", (line,)) for line in lines])
