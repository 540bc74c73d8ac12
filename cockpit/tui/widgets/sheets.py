"""Sheets: the tables and texts that a job told, one at a time."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from cockpit.model import Cell, JobTable, JobText
from cockpit.tui import phrases
from cockpit.tui.draw import clip
from cockpit.tui.widgets import log_text
from cockpit.tui.widgets.table import Column, Row, Table
from cockpit.tui.widgets.tabs import TabLine

WIDEST = 40
Plan = Sequence[tuple[str, str, str]]
"""`table` or `text`, name and title of each sheet."""
Sheet = JobTable | JobText
Ask = Callable[[str, str, int], Awaitable[Sheet | None]]
"""(table or text, name, version that is known) → a newer one."""


class Sheets(Vertical):
    """The names of all sheets in a line, and the chosen one below it."""

    DEFAULT_CSS = """
    Sheets { height: 1fr; }
    Sheets #names { margin-bottom: 1; }
    Sheets #sheet { height: 1fr; }
    Sheets #left { height: 1; }
    """

    def __init__(self, ask: Ask, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ask = ask
        self._plan: Plan = ()
        self._known: dict[str, Sheet] = {}
        self._shown: object = None

    def compose(self) -> ComposeResult:
        yield TabLine({"": ""}, "", id="names")
        yield Table(
            (Column("", flex=True),), cursor=False, empty="No table or text was told.", id="sheet"
        )
        yield Table((Column("", flex=True),), header=False, cursor=False, id="left")

    @property
    def chosen(self) -> tuple[str, str] | None:
        """Kind and name of the sheet that is shown."""
        key = self.query_one("#names", TabLine).chosen
        kind, _, name = key.partition("/")
        return (kind, name) if name else None

    @property
    def filled(self) -> bool:
        """Whether the chosen sheet has been told."""
        return self._shown is not None

    def offer(self, plan: Plan) -> None:
        """Have these sheets to choose from."""
        self._plan = plan
        choices = {f"{kind}/{name}": title for kind, name, title in plan}
        names = self.query_one("#names", TabLine)
        names.offer(choices or {"": ""})
        names.display = bool(choices)

    def turn(self, by: int) -> None:
        """Show the sheet `by` places further."""
        names = self.query_one("#names", TabLine)
        names.choose(names.after(by))
        self._draw()

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        event.stop()
        event.line.choose(event.key)
        self._draw()

    async def poll(self) -> None:
        """Ask for a newer version of what is shown. Raises CockpitError."""
        chosen = self.chosen
        if chosen is None:
            return
        key = "/".join(chosen)
        known = self._known.get(key)
        newer = await self._ask(*chosen, known.version if known else 0)
        if newer is not None:
            self._known[key] = newer
        self._draw()

    def table(self) -> Table:
        """What the keys scroll."""
        return self.query_one("#sheet", Table)

    def _draw(self) -> None:
        chosen = self.chosen
        sheet = self._known.get("/".join(chosen)) if chosen else None
        if sheet is self._shown and sheet is not None:
            return
        self._shown = sheet
        left = ""
        if isinstance(sheet, JobTable):
            self.table().show(_rows(sheet), _columns(sheet))
            left = f"{sheet.left_out} rows more than an event can hold" if sheet.left_out else ""
        elif isinstance(sheet, JobText):
            lines = sheet.text.encode("utf-8", "replace").split(b"\n")
            rows = [Row("", ((log_text.plain(line), "text"),)) for line in lines]
            self.table().show(rows, (Column("", flex=True),))
            left = f"{sheet.left_out} letters more than an event can hold" if sheet.left_out else ""
        else:
            self.table().show([], (Column("", flex=True),))
        self.query_one("#left", Table).show([Row("", ((left, "warning"),))])


def _columns(sheet: JobTable) -> tuple[Column, ...]:
    """As wide as what they hold; numbers stand at the right, and the last ones give way first."""
    columns = []
    for at, name in enumerate(sheet.columns):
        cells = [row[at] for row in sheet.rows]
        widest = max((len(_shown(cell)) for cell in cells), default=1)
        width = min(max(widest, len(name), 3) + 1, WIDEST)
        numbers = any(_is_number(cell) for cell in cells)
        columns.append(Column(clip(name, width), width, right=numbers, drop=at))
    return (*columns, Column("", 1, flex=True))


def _rows(sheet: JobTable) -> list[Row]:
    return [
        Row(
            "",
            (*((_shown(cell), "muted" if cell is None else "text") for cell in row), ("", "")),
        )
        for row in sheet.rows
    ]


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _shown(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return phrases.NONE
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.6g}"
    if isinstance(cell, int):
        return f"{cell:,}".replace(",", " ")
    return clip(cell, 200)
