"""The power budget of the whole box."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model import BoxInfo, Event, Gpu
from cockpit.settings import Thresholds

_BACK_AFTER_S = 30.0


class PowerBudget:
    """Tells when the GPUs together draw more than their share of the budget, and when that is over."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._share = thresholds.power_budget_percent / 100
        self._over_s: float | None = None
        """When the box was last over its budget; None when it is not told to be."""

    def apply(self, box: BoxInfo, gpus: Sequence[Gpu], now_s: float) -> tuple[Event, ...]:
        """An event at the crossing only; a box without a budget or a reading has none."""
        budget_w = box.power_budget_w
        powers = [gpu.power_w for gpu in gpus if gpu.power_w is not None]
        if not budget_w or not powers:
            return ()
        drawn_w = sum(powers)
        drawn = f"{drawn_w / 1000:.2f} of {budget_w / 1000:.2f} kW"
        if drawn_w > self._share * budget_w:
            new = self._over_s is None
            self._over_s = now_s
            return (_over(drawn, drawn_w, budget_w, now_s),) if new else ()
        if self._over_s is not None and now_s - self._over_s >= _BACK_AFTER_S:
            self._over_s = None
            text = f"the box is back in its power budget, {drawn}"
            return (Event(0, now_s, "alert", "info", text, data={"code": "power_budget"}),)
        return ()


def _over(drawn: str, drawn_w: float, budget_w: float, now_s: float) -> Event:
    return Event(
        0,
        now_s,
        "alert",
        "critical" if drawn_w > budget_w else "warning",
        f"the GPUs draw {drawn}",
        "lower power limits or stop a job",
        data={"code": "power_budget", "power_w": round(drawn_w, 1), "budget_w": budget_w},
    )
