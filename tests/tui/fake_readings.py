"""What a fake box answers about one job: its log, metrics, fields, pictures, tables, texts, events."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

from cockpit.agent.jobs import search
from cockpit.model import JobImage, JobTable, JobText


class FakeReadings:
    """Tables of answers by job; the log is searched by the agent's own code."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.logs: dict[str, bytes] = {}
        self.metric_table: dict[str, dict[str, list[list[float]]]] = {}
        self.frame_table: dict[tuple[str, str], dict[str, Any]] = {}
        self.told_events: dict[str, list[dict[str, Any]]] = {}
        self.image_table: dict[tuple[str, str], JobImage] = {}
        self.sheet_table: dict[tuple[str, str], JobTable | JobText] = {}

    async def job_log(self, job_id: str, offset: int, limit: int = 65536) -> dict[str, Any]:
        data = self.logs.get(job_id, b"")
        start = max(0, len(data) + offset) if offset < 0 else min(offset, len(data))
        part = data[start : start + limit]
        return {
            "offset": start,
            "data": base64.b64encode(part).decode(),
            "end": start + len(part),
            "size": len(data),
            "kept_from": 0,
            "ended": False,
        }

    async def job_search(
        self,
        job_id: str,
        pattern: str,
        offset: int,
        *,
        until: int | None = None,
        backwards: bool = False,
        regex: bool = False,
        limit: int = 100,
    ) -> dict[str, Any]:
        self.calls.append(("job_search", pattern, offset, until, backwards, regex, limit))
        data = self.logs.get(job_id, b"")
        search.check(pattern, regex)
        end = (0 if backwards else len(data)) if until is None else until
        start, end = sorted((offset, end))
        query = search.Query(pattern, start, end, regex, backwards, limit)
        found = search.search(lambda at, most: data[at : at + most], query)
        done = found.reached == (start if backwards else end)
        return {**vars(found), "size": len(data), "done": done}

    async def job_metrics(
        self,
        job_id: str,
        points: int = 400,
        names: Iterable[str] = (),
        axis: str = "step",
        since: float | None = None,
        until: float | None = None,
    ) -> dict[str, Any]:
        self.calls.append(("job_metrics", job_id, axis, since, until))
        at = 0 if axis == "step" else 1
        low, high = -math.inf if since is None else since, math.inf if until is None else until
        table = self.metric_table.get(job_id, {})
        places = [row[at] for rows in table.values() for row in rows]
        found = {
            name: [
                [step, time_s, value, value, value, 1]
                for step, time_s, value in rows
                if low <= (step, time_s)[at] <= high
            ]
            for name, rows in table.items()
        }
        return {"metrics": found, "reach": [min(places), max(places)] if places else None}

    async def job_events(self, job_id: str, offset: int, limit: int = 200) -> dict[str, Any]:
        events = self.told_events.get(job_id, [])[offset : offset + limit]
        return {"offset": offset, "events": events, "end": offset + len(events), "ended": False}

    async def job_frame(self, job_id: str, name: str, after: int = 0) -> dict[str, Any]:
        return self.frame_table.get((job_id, name), {"sequence": after})

    async def job_image(self, job_id: str, name: str, after: int = 0) -> JobImage | None:
        image = self.image_table[job_id, name]
        return image if image.version > after else None

    async def job_table(self, job_id: str, name: str, after: int = 0) -> Any:
        sheet = self.sheet_table[job_id, name]
        return sheet if sheet.version > after else None

    job_text = job_table
