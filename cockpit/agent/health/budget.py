"""The power budget of the whole box."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model import BoxInfo, Event, Gpu, Severity
from cockpit.settings import Thresholds

_BACK_AFTER_S = 30.0
_CODE = {"code": "power_budget"}


class PowerBudget:
    """Tells when the GPUs together draw more than their share of the budget, and when that is over."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._share = thresholds.power_budget_percent / 100
        self._over_s: float | None = None
        """When the box was last over its share; None when it is not told to be."""
        self._exceeded = False
        """Told that it is over the budget itself."""

    def apply(self, box: BoxInfo, gpus: Sequence[Gpu], now_s: float) -> tuple[Event, ...]:
        """An event at the crossing only; a box without a budget or a reading has none."""
        budget_w = box.power_budget_w
        powers = [gpu.power_w for gpu in gpus if gpu.power_w is not None]
        if not budget_w or not powers:
            return ()
        drawn_w = sum(powers)
        drawn = f"{drawn_w / 1000:.2f} of {budget_w / 1000:.2f} kW"
        if drawn_w > self._share * budget_w:
            exceeded = drawn_w > budget_w
            told = self._over_s is not None and self._exceeded >= exceeded
            self._over_s, self._exceeded = now_s, self._exceeded or exceeded
            return () if told else (_over(drawn, exceeded, now_s),)
        if self._over_s is not None and now_s - self._over_s >= _BACK_AFTER_S:
            self._over_s, self._exceeded = None, False
            text = f"the box is back in its power budget, {drawn}"
            return (Event(0, now_s, "alert", "info", text, data=_CODE),)
        return ()


def _over(drawn: str, exceeded: bool, now_s: float) -> Event:
    severity: Severity = "critical" if exceeded else "warning"
    text, advice = f"the GPUs draw {drawn}", "lower power limits or stop a job"
    return Event(0, now_s, "alert", severity, text, advice, data=_CODE)
