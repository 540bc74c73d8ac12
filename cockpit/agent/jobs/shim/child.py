"""From the shim to the job's own process: fork, become, exec."""

from __future__ import annotations

import os
import signal

from .processes import PR_SET_PDEATHSIG, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .cgroup import Group

PROBLEM_BYTES = 1000


def spawn(
    directory: str, stage: dict[str, Any], secrets: Mapping[str, str], group: Group | None
) -> tuple[int, int]:
    """Start a stage: its pid, and a pipe for `problem`. Raises OSError if there can be no process."""
    shim = os.getpid()
    told, tell = os.pipe2(os.O_CLOEXEC)
    # A child that is told to end before it has let go of the shim's handlers would not hear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(told)
        os.close(tell)
        raise
    if pid == 0:
        try:
            os.close(told)
            _become(directory, stage, secrets, group, shim)
        except BaseException as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            command = stage.get("command", ["?"])[0]
            os.write(tell, f"cannot run {command}: {words}".encode()[:PROBLEM_BYTES])
        finally:
            os._exit(127)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(tell)
    return pid, told


def problem(told: int) -> str:
    """Why the command could not be run, once its process has ended; empty if it was."""
    text = os.read(told, PROBLEM_BYTES).decode(errors="replace")
    os.close(told)
    return text


def _become(
    directory: str,
    stage: dict[str, Any],
    secrets: Mapping[str, str],
    group: Group | None,
    shim: int,
) -> None:
    """In the child: become the job's own process."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != shim:
        os._exit(127)
    os.setsid()
    if group is not None:
        group.enter()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    log = _open_log(f"{directory}/output.log")
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.chdir(stage["directory"])
    os.environ.update(stage.get("environment", {}))
    os.environ.update({name: secrets[name] for name in stage.get("secrets", ())})
    os.execvp(stage["command"][0], stage["command"])


def _open_log(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
