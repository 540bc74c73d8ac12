"""What a job has to show: its charts, live fields, pictures, tables and texts, and their titles."""

from __future__ import annotations

from cockpit.model import Job

CHARTS_MOST = 24
"""More metrics than this have no chart of their own."""

Plan = list[tuple[str, tuple[str, ...]]]
"""Title and metrics of each chart."""


def chart_plan(job: Job, other: Job | None = None) -> Plan:
    """As the plugin wants, then one chart for every other metric of this job and of `other`."""
    plan: Plan = []
    for each in (job, *([other] if other else [])):
        told = {name for _, metrics in plan for name in metrics}
        wanted = [
            (str(view.get("title") or ", ".join(view["metrics"])), tuple(view["metrics"]))
            for view in each.views
            if view.get("type") == "chart" and view.get("metrics")
        ]
        plan += [entry for entry in wanted if not told & set(entry[1])]
        told = {name for _, metrics in plan for name in metrics}
        plan += [(name, (name,)) for name in each.metrics if name not in told]
    titles: dict[str, tuple[str, ...]] = {}
    for title, metrics in plan:
        titles.setdefault(title, metrics)
    return list(titles.items())[:CHARTS_MOST]


def field_plan(job: Job) -> list[tuple[str, str]]:
    """Name and title of each live field."""
    return _named(job, "field", job.frames)


def image_plan(job: Job) -> list[tuple[str, str]]:
    """Name and title of each picture that the job has told of."""
    return [(name, title) for name, title in _named(job, "image", job.images) if name in job.images]


def sheet_plan(job: Job) -> list[tuple[str, str, str]]:
    """`table` or `text`, name and title of each table and text that the job has told of."""
    tables = [("table", *entry) for entry in _named(job, "table", job.tables)]
    texts = [("text", *entry) for entry in _named(job, "text", job.texts)]
    told = {("table", name) for name in job.tables} | {("text", name) for name in job.texts}
    return [entry for entry in tables + texts if entry[:2] in told]


def _named(job: Job, kind: str, told: object) -> list[tuple[str, str]]:
    """The plugin's views of one kind first, then what the job tells beyond them."""
    names = {
        str(view["name"]): str(view.get("title") or view["name"])
        for view in job.views
        if view.get("type") == kind and view.get("name")
    }
    for name in told if isinstance(told, (tuple, dict)) else ():
        names.setdefault(str(name), str(name))
    return list(names.items())
