"""One job from its start to its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time

from . import DEFAULT_GRACE_S, child
from .cgroup import Group
from .files import read_json, reserve, write_json
from .processes import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    boot_id,
    descendants,
    prctl,
    reap,
    rename_process,
    send,
    signal_name,
    start_ticks,
)
from .rotation import Rotation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STUCK_AFTER_S = 5.0
"""A process that is still there so long after SIGKILL is named in the job's reason."""
PATH_BYTES = 1 << 16
CLOCK_STEP_S = 1.0
"""A time of day that went on otherwise than the time that passed was set meanwhile."""


class Stop:
    """What a signal handler may touch: when the end was asked for (monotonic), if it was."""

    asked_s: float | None = None


class Shim:
    """One job from its start to its end."""

    def __init__(self, directory: str, news: int, secrets: dict[str, str]) -> None:
        self.directory = directory
        self.news = news
        self.secrets = secrets
        self.stop = Stop()
        self.timed_out = False
        self.start = read_json(f"{directory}/start.json") or {}
        self.group = self._make_group()
        self.rotation = Rotation(directory, **self.start.get("log", {}))
        limit_s = self.start.get("time_limit_s")
        # The monotonic clock: setting the time of day neither ends a job nor lets it run longer.
        self._begun_s = time.monotonic()
        self._deadline_s = None if limit_s is None else self._begun_s + float(limit_s)
        self.status: dict[str, Any] = {
            "state": "RUNNING",
            "reason": "",
            "gpus": self.start.get("gpus", []),
            "shim_pid": os.getpid(),
            "shim_start_ticks": start_ticks(os.getpid()),
            "boot_id": boot_id(),
            "started_s": time.time(),
        }
        self._wake, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)

    def _make_group(self) -> Group | None:
        path = self.start.get("cgroup")
        group = Group(path) if path else None
        return group if group is not None and group.make() else None

    def _asked_to_stop(self, *_: object) -> None:
        if self.stop.asked_s is None:
            self.stop.asked_s = time.monotonic()

    def run(self) -> None:
        """Run every stage of `start.json` in turn; the first that fails is the end of the job."""
        # Before anything runs: a job without a status has certainly never started. And only now can
        # the agent know whom to signal, so an end that was asked for earlier stands in the file.
        self._write_status()
        if read_json(f"{self.directory}/cancel.json") is not None:
            self._asked_to_stop()
        stages = self.start.get("stages", [])
        code: int | None = None
        reason = "" if stages else "its start.json cannot be read"
        for stage in stages:
            if self.stop.asked_s is not None or self.timed_out:
                break
            try:
                code, reason = self._run_stage(stage)
            except OSError as error:
                code, reason = None, f"no process could be made: {error.strerror}"
            if code or reason:
                break
        self._finish(code, reason)

    def _run_stage(self, stage: dict[str, Any]) -> tuple[int, str]:
        """Start one command and see it and all it left behind to the end: exit code, reason.

        Raises OSError if there can be no further process.
        """
        pid, told = child.spawn(self.directory, stage, self.secrets, self.group)
        self.status.update(
            pid=pid, pid_start_ticks=start_ticks(pid), reason=stage.get("text", ""), state="RUNNING"
        )
        self._write_status()
        wait_status = self._wait_for(pid)
        self._clear_tree()
        code = os.waitstatus_to_exitcode(wait_status)
        # Asked last: a command on a disk that hangs is not waited for, it can be stopped.
        problem = child.problem(told)
        if problem:
            return code, problem
        if code < 0:
            self.status["signal"] = signal_name(-code)
            return 128 - code, f"ended by {signal_name(-code)}"
        return code, (_explanation(self.directory) or f"exit code {code}") if code else ""

    def _wait_for(self, pid: int) -> int:
        """Sleep until `pid` has ended, or has to: it was asked for, or the time is up; wait status."""
        while True:
            status, _ = reap(pid)
            if status is not None:
                return status
            left_s = None if self._deadline_s is None else self._deadline_s - time.monotonic()
            if self.stop.asked_s is None and left_s is not None and left_s <= 0:
                self.timed_out = True
            if self.stop.asked_s is not None or self.timed_out:
                ended = self._clear_tree(pid)
                return signal.SIGKILL if ended is None else ended
            most_s = self.rotation.look_s
            self._sleep(most_s if left_s is None else min(left_s, most_s))

    def _clear_tree(self, pid: int = -1) -> int | None:
        """SIGTERM to every process of the job, SIGKILL after the grace; the wait status of `pid`."""
        begun = time.monotonic()
        told: set[int] = set()
        ended: int | None = None
        grace_s = self._grace_s()
        while True:
            status, childless = reap(pid)
            ended = status if status is not None else ended
            left = self._left()
            age = time.monotonic() - begun
            # Without a child nothing is left for certain. With one, a look at /proc that found
            # nobody has missed it, or it is dead and held by a debugger from outside.
            if not left and (childless or age > grace_s + STUCK_AFTER_S):
                return ended
            if left:
                self._end(left, told, age >= grace_s)
            if left and age > grace_s + STUCK_AFTER_S:
                self._tell_stuck(left)
            self._sleep(0.05 if age < 1 else 0.2)
            grace_s = min(grace_s, self._grace_s())

    def _left(self) -> list[int]:
        members = self.group.members() if self.group is not None else []
        return list(dict.fromkeys((*descendants(os.getpid()), *members)))

    def _end(self, left: list[int], told: set[int], kill: bool) -> None:
        """SIGTERM to those that were not told yet, or SIGKILL to all."""
        if self.status["state"] != "COMPLETING":
            self.status.update(state="COMPLETING", reason="ending what the job started")
            self._write_status()
        if kill and self.group is not None:
            self.group.kill()
        for process in left:
            if kill:
                send(process, signal.SIGKILL)
            elif process not in told:
                told.add(process)
                send(process, signal.SIGTERM)
                send(process, signal.SIGCONT)

    def _tell_stuck(self, left: list[int]) -> None:
        names = ", ".join(str(pid) for pid in left[:5])
        reason = (
            f"SIGKILL did not end process {names}: it waits in the driver or belongs to another"
        )
        if self.status["reason"] != reason:
            self.status["reason"] = reason
            self._write_status()

    def _grace_s(self) -> float:
        cancel = read_json(f"{self.directory}/cancel.json") or self.start
        return float(cancel.get("grace_s", DEFAULT_GRACE_S))

    def _sleep(self, seconds: float) -> None:
        """Until a signal comes (a child's end is one), at most `seconds`; see to the log first."""
        if self.rotation.work():
            seconds = 0.0
        select.select([self._wake], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, 4096):
                pass

    def _finish(self, code: int | None, reason: str) -> None:
        self.rotation.close()
        if self.group is not None:
            self.group.remove()
        state = "FAILED" if code or reason else "COMPLETED"
        if self.timed_out:
            state = "TIMEOUT"
            reason = f"reached its time limit of {_length(float(self.start['time_limit_s']))}"
        elif self.stop.asked_s is not None:
            state = "CANCELLED"
            asked = read_json(f"{self.directory}/cancel.json")
            reason = "stopped on request" if asked else "its shim was told to stop"
        self.status.update(state=state, reason=reason, exit_code=code, **self._times())
        # How it ended is known only here: with a disk that takes nothing, wait until it does.
        while not self._write_status() and os.path.isdir(self.directory):  # noqa: PTH112
            time.sleep(1.0)

    def _times(self) -> dict[str, float]:
        """Start and end; if the clock was set meanwhile, both by what it says now."""
        now, ran_s = time.time(), time.monotonic() - self._begun_s
        started_s = float(self.status["started_s"])
        if abs(now - started_s - ran_s) > CLOCK_STEP_S:
            started_s = now - ran_s
        return {"started_s": started_s, "ended_s": now}

    def _write_status(self) -> bool:
        try:
            write_json(self.directory, "status.json", self.status)
        except OSError:
            return False
        if "ended_s" not in self.status:
            reserve(self.directory, "status.json")
        with contextlib.suppress(OSError):
            os.write(self.news, b".")
        return True


def _explanation(directory: str) -> str:
    """What a stage wrote down about its own failure."""
    try:
        with open(f"{directory}/explanation.txt", errors="replace") as file:  # noqa: PTH123
            return file.read(2000).strip()
    except OSError:
        return ""


def _length(seconds: float) -> str:
    """A length of time in words: 0.5 s, 45 s, 1 h 30 min, 1 min 5 s."""
    if seconds < 60:
        return f"{seconds:g} s"
    hours, rest = divmod(round(seconds), 3600)
    parts = ((hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _read_secrets(descriptor: int) -> dict[str, str]:
    """The values that the agent has put into a file in memory, which is gone after this."""
    # A dump of this process would hold them.
    prctl(PR_SET_DUMPABLE, 0)
    with open(descriptor, "rb") as file:
        file.seek(0)
        return dict(json.load(file))


def main(arguments: list[str]) -> None:
    """Wait for a job and take over its lock, then run it."""
    with socket.socket(fileno=int(arguments[0])) as line:
        directory, handed, _, _ = socket.recv_fds(line, PATH_BYTES, 3)
    if not directory:
        return
    for descriptor in handed:
        os.set_inheritable(descriptor, False)
    _, news, *hidden = handed
    os.set_blocking(news, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    # Its command line was written before it had a job.
    rename_process(f"cockpit {os.path.basename(os.fsdecode(directory))}")  # noqa: PTH119
    secrets = _read_secrets(hidden[0]) if hidden else {}
    Shim(os.fsdecode(directory), news, secrets).run()
