"""What would become of a request if it were submitted now: asked before, so that nobody is surprised."""

from __future__ import annotations

import time
from pathlib import Path

from cockpit.agent.environments.choice import need_of, where
from cockpit.agent.jobs import planning
from cockpit.agent.jobs.allocation import Decision, Waiting, decide
from cockpit.agent.jobs.queue import JobQueue
from cockpit.agent.jobs.resources import refusal, wish_of
from cockpit.model import JobRequest, Prospect


def prospect(queue: JobQueue, request: JobRequest) -> Prospect:
    """The agent's own decision on a request, without submitting it."""
    builds = _builds(queue, request)
    never = planning.problem(request) or _impossible(queue, request)
    if never:
        return Prospect("never", never, builds=builds)
    waits_for = [key for key in request.after if not queue.records[key].ended]
    if waits_for:
        return Prospect("waits", f"waiting for job {', '.join(waits_for)}", builds=builds)
    decision = _decision(queue, request)
    if decision.devices is None:
        return Prospect("waits", decision.reason, builds=builds)
    return Prospect(
        "starts",
        decision.why,
        tuple(device.uuid for device in decision.devices if not device.profile),
        tuple(device.uuid for device in decision.devices if device.profile),
        builds,
    )


def _decision(queue: JobQueue, request: JobRequest) -> Decision:
    """As if it stood in the queue already; nothing is changed."""
    earlier = [
        Waiting(record.id, record.wish)
        for record, hold in queue.standing()
        if hold.kind == "free" and record.spec.request.priority >= request.priority
    ]
    earlier.sort(key=lambda waiting: -queue.records[waiting.job].spec.request.priority)
    line = [*earlier, Waiting("", wish_of(request))]
    return decide(line, queue.resources, queue.course.holds(), time.time())[-1]


def _impossible(queue: JobQueue, request: JobRequest) -> str:
    if queue.recording:
        return "this is a recording: no job can run on it"
    unknown = [key for key in request.after if key not in queue.records]
    if unknown:
        return f"there is no job {unknown[0]} here that it could come after"
    wish = wish_of(request)
    if wish.empty or not queue.known.is_set():
        return ""
    return refusal(wish, queue.resources)


def _builds(queue: JobQueue, request: JobRequest) -> bool:
    code = Path(request.plugin_directory or "/nonexistent")
    need = need_of(request, code, queue.settings.environments)
    return not where(need, queue.settings.environments, planning.environments_dir()).ready
