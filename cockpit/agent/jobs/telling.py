"""What is told of jobs: to every client that listens, and as events of the box."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from cockpit.agent.jobs.accounting import Rates
from cockpit.agent.jobs.notices import Notices
from cockpit.agent.jobs.record import Record
from cockpit.model import BoxInfo, Event, Job, Severity


class Teller:
    """Shows jobs as they are now and publishes each change once."""

    def __init__(
        self,
        box_name: str,
        rates: Rates,
        publish: Callable[[Job], None],
        emit: Callable[[Event], None],
        note: Callable[[Record, Job], None],
        notices: Notices,
    ) -> None:
        self.box: BoxInfo | None = None
        self.rates = rates
        self.notices = notices
        self._box_name = box_name
        self._publish, self._emit, self._note = publish, emit, note

    def show(self, record: Record) -> Job:
        """The job as it is now."""
        return record.job(self._box_name, self.rates)

    def tell(self, record: Record) -> None:
        """Publish a job if there is news of it."""
        job = self.show(record)
        if not record.same_as_published(job):
            record.published = job
            self._publish(job)
            self._note(record, job)

    def gone(self, record: Record) -> None:
        """Tell the clients that a job is no more."""
        self._publish(replace(self.show(record), removed=True))

    def ended(self, record: Record) -> None:
        """Tell how a job ended: the clients, the events, and whoever wants to be notified."""
        self.tell(record)
        severity: Severity = "info" if record.state in ("COMPLETED", "CANCELLED") else "warning"
        reason = str(record.status.get("reason", ""))
        self.say(record, severity, f"{record.state}{': ' + reason if reason else ''}")
        self.notices.ended(record.directory, self.show(record))

    def explain(self, record: Record, reason: str) -> None:
        """Say why a job waits, if that is new."""
        if record.waiting != reason:
            record.waiting = reason
            self.tell(record)

    def say(self, record: Record, severity: Severity, text: str) -> None:
        """Make an event of something that happened to a job."""
        words = f"Job {record.id} ({record.spec.request.name}) {text}"
        self._emit(Event(0, time.time(), "job", severity, words, job=record.id))

    def keep_final(self, record: Record) -> None:
        """Write down how an ended job looks for ever. Raises OSError."""
        record.keep_final(self._box_name, self.rates)
        self._note(record, self.show(record))
