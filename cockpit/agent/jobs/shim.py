"""The shim: one small process per job that outlives the agent, the desk and the terminal.

Run as `python -I -S shim.py JOBDIR LOCK_FD NEWS_FD` with the standard library only; it never imports
cockpit, so that nothing that happens to the installation can touch a running job.

The rules that make a job directory the truth:

- Whoever holds the lock on `JOBDIR/lock` is the only writer of `status.json`. The agent takes it,
  the shim inherits the descriptor and holds it for life, so a free lock means that no shim runs.
- `start.json` (from the agent) says what to run; `cancel.json` (from the agent, before a SIGTERM to
  the shim) asks for the end. Nothing else passes between them.
- The shim is a sub-reaper: whatever the job leaves behind becomes its child and ends with the job.
- If the shim itself is killed, the kernel kills the job's first process; the agent takes the lock,
  finds the rest by the job directory in their environment, kills it and writes LOST.

Each write to NEWS_FD tells the agent that `status.json` changed; nobody needs to listen.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
DEFAULT_GRACE_S = 10.0
SLEEP_MOST_S = 86400.0
STUCK_AFTER_S = 5.0
"""A process that is still there so long after SIGKILL is named in the job's reason."""
RESERVED_BYTES = 4096
"""Kept on disk for the last status, so that a full disk cannot hide how a job ended."""


class Stop:
    """What a signal handler may touch: when the end was asked for (monotonic), if it was."""

    asked_s: float | None = None


def boot_id() -> str:
    """The kernel's name for this boot of the machine; empty where it cannot be read."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def _stat(pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def start_ticks(pid: int) -> int | None:
    """When `pid` started, in ticks since boot; None if it is gone or a zombie."""
    fields = _stat(pid)
    return None if not fields or fields[0] in "ZX" else int(fields[19])


def descendants(root: int) -> list[int]:
    """Every living process below `root`, zombies left out (but not what lives below them)."""
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit() and (fields := _stat(entry)):
            children.setdefault(int(fields[1]), []).append((int(entry), fields[0]))
    found: list[int] = []
    todo = [root]
    while todo:
        for pid, state in children.get(todo.pop(), []):
            todo.append(pid)
            if state not in "ZX":
                found.append(pid)
    return found


def read_json(path: str) -> dict[str, Any] | None:
    """The object in `path`; None if there is none or it is not whole."""
    try:
        with open(path) as file:  # noqa: PTH123
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_json(directory: str, name: str, value: dict[str, Any]) -> None:
    """Replace `directory/name` at once and for good: written, synced, renamed, synced."""
    spare = f"{directory}/.{name}.next"
    # An existing spare is written over in place: its blocks are there even when the disk is full.
    descriptor = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        data = json.dumps(value).encode()
        if os.pwrite(descriptor, data, 0) != len(data):
            raise OSError(f"{spare}: the disk is full")
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(spare, f"{directory}/{name}")  # noqa: PTH104
    sync_directory(directory)


def sync_directory(directory: str) -> None:
    """Make renames and new names in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reserve(directory: str) -> None:
    """Set disk space aside for the next status; a disk that is full already just has none."""
    try:
        descriptor = os.open(
            f"{directory}/.status.json.next", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError:
        return
    try:
        os.posix_fallocate(descriptor, 0, RESERVED_BYTES)
    except OSError:
        pass
    finally:
        os.close(descriptor)


class Shim:
    """One job from its start to its end."""

    def __init__(self, directory: str, news: int) -> None:
        self.directory = directory
        self.news = news
        self.stop = Stop()
        self.timed_out = False
        self.start = read_json(f"{directory}/start.json") or {}
        limit_s = self.start.get("time_limit_s")
        # The monotonic clock: setting the time of day neither ends a job nor lets it run longer.
        self._deadline_s = None if limit_s is None else time.monotonic() + float(limit_s)
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
        code: int | None = None
        reason = ""
        for stage in self.start.get("stages", []):
            if self.stop.asked_s is not None or self.timed_out:
                break
            code, reason = self._run_stage(stage)
            if code:
                break
        self._finish(code, reason)

    def _run_stage(self, stage: dict[str, Any]) -> tuple[int, str]:
        """Start one command and see it and all it left behind to the end: exit code, reason."""
        pid, problem = self._spawn(stage)
        self.status.update(
            pid=pid, pid_start_ticks=start_ticks(pid), reason=stage.get("text", ""), state="RUNNING"
        )
        self._write_status()
        wait_status = self._wait_for(pid)
        self._clear_tree()
        code = os.waitstatus_to_exitcode(wait_status)
        if problem:
            return code, problem
        if code < 0:
            self.status["signal"] = _signal_name(-code)
            return 128 - code, f"ended by {_signal_name(-code)}"
        return code, (_explanation(self.directory) or f"exit code {code}") if code else ""

    def _spawn(self, stage: dict[str, Any]) -> tuple[int, str]:
        """Fork and exec; the second value says why the command could not be run, if so."""
        told, tell = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                os.close(told)
                self._become(stage)
            except BaseException as error:
                words = error.strerror if isinstance(error, OSError) else str(error)
                command = stage.get("command", ["?"])[0]
                os.write(tell, f"cannot run {command}: {words}".encode()[:1000])
            finally:
                os._exit(127)
        os.close(tell)
        problem = os.read(told, 1000).decode(errors="replace")
        os.close(told)
        return pid, problem

    def _become(self, stage: dict[str, Any]) -> None:
        """In the child: become the job's own process."""
        parent = self.status["shim_pid"]
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_DFL)
        log = _open_log(f"{self.directory}/output.log")
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.chdir(stage["directory"])
        os.environ.update(stage.get("environment", {}))
        os.execvp(stage["command"][0], stage["command"])

    def _wait_for(self, pid: int) -> int:
        """Sleep until `pid` has ended, or has to: it was asked for, or the time is up; wait status."""
        while True:
            status = _reap(pid)
            if status is not None:
                return status
            left_s = None if self._deadline_s is None else self._deadline_s - time.monotonic()
            if self.stop.asked_s is None and left_s is not None and left_s <= 0:
                self.timed_out = True
            if self.stop.asked_s is not None or self.timed_out:
                ended = self._clear_tree(pid)
                return ended if ended is not None else 0
            self._sleep(None if left_s is None else min(left_s, SLEEP_MOST_S))

    def _clear_tree(self, pid: int = -1) -> int | None:
        """SIGTERM to every process of the job, SIGKILL after the grace; the wait status of `pid`."""
        begun = time.monotonic()
        told: set[int] = set()
        ended: int | None = None
        grace_s = self._grace_s()
        while True:
            left = descendants(os.getpid())
            status = _reap(pid)
            ended = status if status is not None else ended
            if not left:
                return ended
            if self.status["state"] != "COMPLETING":
                self.status.update(state="COMPLETING", reason="ending what the job started")
                self._write_status()
            age = time.monotonic() - begun
            for process in left:
                if age >= grace_s:
                    _send(process, signal.SIGKILL)
                elif process not in told:
                    told.add(process)
                    _send(process, signal.SIGTERM)
                    _send(process, signal.SIGCONT)
            if age > grace_s + STUCK_AFTER_S:
                self._tell_stuck(left)
            self._sleep(0.05 if age < 1 else 0.2)
            if self._grace_s() < grace_s:
                grace_s = self._grace_s()

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

    def _sleep(self, seconds: float | None) -> None:
        """Until a signal comes (a child's end is one), at most `seconds`."""
        select.select([self._wake], [], [], seconds)
        try:
            while os.read(self._wake, 4096):
                pass
        except BlockingIOError:
            pass

    def _finish(self, code: int | None, reason: str) -> None:
        state = "FAILED" if code else "COMPLETED"
        if self.timed_out:
            state = "TIMEOUT"
            reason = f"reached its time limit of {_length(float(self.start['time_limit_s']))}"
        elif self.stop.asked_s is not None:
            state = "CANCELLED"
            asked = read_json(f"{self.directory}/cancel.json")
            reason = "stopped on request" if asked else "its shim was told to stop"
        self.status.update(
            state=state,
            reason=reason,
            exit_code=code,
            ended_s=time.time(),
        )
        # How it ended is known only here: with a disk that takes nothing, wait until it does.
        while not self._write_status() and os.path.isdir(self.directory):  # noqa: PTH112
            time.sleep(1.0)

    def _write_status(self) -> bool:
        try:
            write_json(self.directory, "status.json", self.status)
        except OSError:
            return False
        if "ended_s" not in self.status:
            _reserve(self.directory)
        with contextlib.suppress(OSError):
            os.write(self.news, b".")
        return True


def _reap(pid: int) -> int | None:
    """Collect every child that has ended; the wait status of `pid` if it is one of them."""
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if ended == 0:
            return found
        if ended == pid:
            found = status


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _explanation(directory: str) -> str:
    """What a stage wrote down about its own failure."""
    try:
        with open(f"{directory}/explanation.txt", errors="replace") as file:  # noqa: PTH123
            return file.read(2000).strip()
    except OSError:
        return ""


def _open_log(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _length(seconds: float) -> str:
    """A length of time in words: 0.5 s, 45 s, 1 h 30 min, 1 min 5 s."""
    if seconds < 60:
        return f"{seconds:g} s"
    hours, rest = divmod(round(seconds), 3600)
    parts = ((hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main(arguments: list[str]) -> None:
    """Take over the lock that was inherited, then run the job."""
    directory, lock, news = arguments[0], int(arguments[1]), int(arguments[2])
    os.set_inheritable(lock, False)
    os.set_inheritable(news, False)
    os.set_blocking(news, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    Shim(directory, news).run()


if __name__ == "__main__":
    main(sys.argv[1:])
