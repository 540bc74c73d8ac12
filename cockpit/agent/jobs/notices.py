"""Tells of jobs that have ended: each once, also after a restart, and never at a job's expense.

What is to be told lies in `outbox/`, one file a job with the channels that are left, so that it
outlives the agent and the job's directory. `noticed.json` in the job's directory says that this was
decided. A command is taken out of the outbox before it runs: an agent that dies meanwhile does not
run it twice. A webhook is taken out afterwards: it may be told twice then, with the same `delivery`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cockpit import paths
from cockpit.agent.jobs import channels
from cockpit.agent.jobs.shim import read_json, write_json
from cockpit.agent.jobs.store import JobDirectory
from cockpit.model import Event, Job, wants_notice
from cockpit.settings import NotifySettings

MARK = "noticed.json"
CHANNELS = ("command", "webhook")
SAMPLE = Job("0", "test", None, ("true",), "COMPLETED", "this is only a test")


class Notices:
    """The outbox of an agent, emptied by a thread for each channel. Belongs to the loop's thread."""

    def __init__(
        self, directory: Path, settings: NotifySettings, box: str, emit: Callable[[Event], None]
    ) -> None:
        self._outbox = directory / "outbox"
        self._settings, self._box, self._emit = settings, box, emit
        self._waiting: set[tuple[str, str]] = set()
        self._queues: dict[str, queue.SimpleQueue[str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._send: dict[str, Callable[[channels.Note], str]] = {}
        if settings.command is not None:
            self._send["command"] = partial(channels.run_command, settings.command)
        if settings.webhook is not None:
            self._send["webhook"] = partial(
                channels.post, settings.webhook, settings.webhook_headers
            )

    @property
    def pending(self) -> bool:
        """Whether somebody is still to be told."""
        return bool(self._waiting)

    def start(self) -> None:
        """Go on with what an earlier agent could not tell any more."""
        self._loop = asyncio.get_running_loop()
        for path in self._outbox.glob("*.json"):
            waiting = read_json(str(path)) or {}
            self._hand_on(path.stem, [name for name in CHANNELS if name in waiting.get("left", ())])

    def ended(self, directory: JobDirectory, job: Job) -> None:
        """A job has ended: tell of it, unless that is not wanted or was decided before."""
        settings = self._settings
        if not self._send or not wants_notice(job, settings.when, settings.min_seconds):
            return
        if (directory.path / MARK).exists():
            return
        note = channels.note_of(job, self._box, "job.ended", uuid.uuid4().hex)
        name = f"{job.id}-{job.submitted_s:.0f}"
        try:
            if not any(name == waiting for waiting, _ in self._waiting):
                paths.make_private(self._outbox)
                self._write(name, {"note": note, "left": list(self._send)})
            directory.write(MARK, {"decided_s": time.time(), "channels": list(self._send)})
        except OSError as error:
            self._complain(job.id, f"nobody was told that it ended: {error}")
            return
        self._hand_on(name, list(self._send))

    async def test(self) -> list[dict[str, Any]]:
        """Tell of a job that never was, once by each channel; how that went."""
        note = channels.note_of(SAMPLE, self._box, "test", uuid.uuid4().hex)
        ways: dict[str, Callable[[channels.Note], str]] = dict(self._send)
        if self._settings.webhook is not None:
            headers = self._settings.webhook_headers
            ways["webhook"] = partial(channels.post, self._settings.webhook, headers, attempts=1)
        problems = [await asyncio.to_thread(send, note) for send in ways.values()]
        return [
            {"channel": name, "ok": not problem, "text": problem}
            for name, problem in zip(ways, problems, strict=True)
        ]

    def _hand_on(self, name: str, left: list[str]) -> None:
        for channel in left:
            if (name, channel) in self._waiting:
                continue
            self._waiting.add((name, channel))
            if channel not in self._queues:
                self._queues[channel] = queue.SimpleQueue()
                # A daemon: an agent that ends waits for nobody's server.
                threading.Thread(target=self._work, args=(channel,), daemon=True).start()
            self._queues[channel].put(name)

    # In the thread of a channel

    def _work(self, channel: str) -> None:
        while True:
            name = self._queues[channel].get()
            problem = self._deliver(name, channel)
            assert self._loop is not None
            # The loop is closed when the agent has ended meanwhile.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._done, name, channel, problem)

    def _deliver(self, name: str, channel: str) -> str:
        send = self._send.get(channel)
        note = (read_json(str(self._outbox / f"{name}.json")) or {}).get("note")
        if send is None or note is None:
            self._take_out(name, channel)
            return ""
        if channel == "command":
            self._take_out(name, channel)
        try:
            return send(note)
        except Exception as error:  # whatever it is, it is not worth a thread
            return f"{type(error).__name__}: {error}"
        finally:
            self._take_out(name, channel)

    def _take_out(self, name: str, channel: str) -> None:
        with _FILES, contextlib.suppress(OSError):
            path = self._outbox / f"{name}.json"
            waiting = json.loads(path.read_text())
            waiting["left"] = [each for each in waiting["left"] if each != channel]
            if waiting["left"]:
                self._write(name, waiting)
            else:
                path.unlink()

    def _write(self, name: str, waiting: dict[str, Any]) -> None:
        write_json(str(self._outbox), f"{name}.json", waiting)

    # In the loop again

    def _done(self, name: str, channel: str, problem: str) -> None:
        self._waiting.discard((name, channel))
        if problem:
            job_id = name.partition("-")[0]
            self._complain(job_id, f"its end could not be told by the {channel}: {problem}")

    def _complain(self, job_id: str, text: str) -> None:
        advice = "`cockpit notify` tries what [notify] of cockpit.toml says."
        self._emit(
            Event(0, time.time(), "job", "warning", f"Job {job_id}: {text}", advice, job=job_id)
        )


_FILES = threading.Lock()
"""Two channels may take the same file's entries out at once."""
