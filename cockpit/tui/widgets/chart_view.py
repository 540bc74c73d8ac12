"""ChartView: which part of a run its charts show, and how. Knows no Textual."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cockpit.tui.widgets.curve import Axis
from cockpit.tui.widgets.scale import duration, whole

SMOOTHINGS = (0.0, 0.6, 0.9, 0.97, 0.99)
"""How much each earlier reading weighs against the next one; 0 is no smoothing."""
ZOOM = 0.5
LEAST_SHARE = 1e-7
"""Of the whole run: nothing is shown larger."""

Reach = tuple[float, float]
"""The first and the last place of a run."""


@dataclass(frozen=True)
class ChartView:
    """The same for all charts of a job, so that they can be read together."""

    axis: Axis = "step"
    window: Reach | None = None
    """What is shown; None for the whole run."""
    smoothing: float = 0.0
    log: bool = False
    cursor: float | None = None
    """The place whose values are read."""

    def shown(self, reach: Reach) -> Reach:
        """The first and the last place that are shown."""
        return self.window or reach

    def zoomed(self, reach: Reach, factor: float, around: float | None = None) -> ChartView:
        """Show `factor` times as much (below 1: less), the place `around` staying where it is."""
        start, end = self.shown(reach)
        if around is None or not start <= around <= end:
            around = self.cursor if self.cursor is not None else end
            around = min(max(around, start), end)
        return self.between(
            reach, around - (around - start) * factor, around + (end - around) * factor
        )

    def between(self, reach: Reach, start: float, end: float) -> ChartView:
        """Show this part as far as it lies within the run; all of it if it is no less than that."""
        low, high = reach
        least = max((high - low) * LEAST_SHARE, 1e-6)
        start, end = max(min(start, end), low), min(max(start, end), high)
        if end - start < least:
            start = min(max((start + end - least) / 2, low), high - least)
            end = start + least
        if start <= low and end >= high:
            return replace(self, window=None)
        return replace(self, window=(start, end))

    def panned(self, reach: Reach, share: float) -> ChartView:
        """Go by a share of what is shown, to the right if it is positive."""
        if self.window is None:
            return self
        start, end = self.window
        by = (end - start) * share
        by = min(max(by, reach[0] - start), reach[1] - end)
        return replace(self, window=(start + by, end + by))

    def pointed(self, reach: Reach, by: float) -> ChartView:
        """Move the cursor by a share of what is shown; past the edge, what is shown goes along."""
        start, end = self.shown(reach)
        cursor = end if self.cursor is None else self.cursor + by * (end - start)
        cursor = min(max(cursor, reach[0]), reach[1])
        view = self
        if cursor < start:
            view = self.panned(reach, (cursor - start) / (end - start) - 0.1)
        elif cursor > end:
            view = self.panned(reach, (cursor - end) / (end - start) + 0.1)
        return replace(view, cursor=cursor)

    def whole(self) -> ChartView:
        """Show the whole run."""
        return replace(self, window=None)

    def other_scale(self) -> ChartView:
        """Orders of magnitude instead of a linear scale, or the other way."""
        return replace(self, log=not self.log)

    def smoother(self) -> ChartView:
        """The next strength of smoothing, going round."""
        at = SMOOTHINGS.index(self.smoothing) if self.smoothing in SMOOTHINGS else -1
        return replace(self, smoothing=SMOOTHINGS[(at + 1) % len(SMOOTHINGS)])

    def place(self, at: float) -> str:
        """A place in words: `step 4 200`, `38:12`."""
        return f"step {whole(round(at))}" if self.axis == "step" else duration(at)

    def words(self, reach: Reach | None) -> str:
        """What is shown, in words."""
        unit = "step" if self.axis == "step" else "time"
        if self.window is None or reach is None:
            return f"whole run by {unit}"
        start, end = (self.place(at).removeprefix("step ") for at in self.window)
        last = self.place(reach[1]).removeprefix("step ")
        return f"{unit} {start} to {end} of {last}"
