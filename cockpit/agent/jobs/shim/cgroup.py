"""A control group (v2) per job: membership that no double fork and no setsid leaves.

Used only to know and to kill a job's processes: no controller is enabled, so the agent may stay in
the parent group beside the jobs' groups.
"""

from __future__ import annotations

import contextlib
import os


def delegated() -> str | None:
    """The directory of this process's own group, if it may make groups and move processes there."""
    try:
        with open("/proc/self/cgroup") as file:  # noqa: PTH123
            own = next(line[3:].rstrip("\n") for line in file if line.startswith("0::"))
        with open("/proc/self/mountinfo") as file:  # noqa: PTH123
            mounts = [line.split() for line in file]
    except (OSError, StopIteration):
        return None
    for fields in mounts:
        if fields[fields.index("-") + 1] != "cgroup2":
            continue
        root, mount = fields[3].rstrip("/"), fields[4]
        if not f"{own}/".startswith(f"{root}/"):
            continue
        directory = mount + own[len(root) :].rstrip("/")
        if all(os.access(path, os.W_OK) for path in (directory, f"{directory}/cgroup.procs")):
            return directory
    return None


class Group:
    """One job's group at `path`; everything here may fail, and the job goes on without it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def make(self) -> bool:
        """Make the group, or take over one of the same name; False if it cannot be."""
        try:
            os.mkdir(self.path, 0o755)  # noqa: PTH102
        except FileExistsError:
            pass
        except OSError:
            return False
        return os.path.exists(f"{self.path}/cgroup.procs")  # noqa: PTH110

    def enter(self) -> None:
        """Move this process into the group."""
        with contextlib.suppress(OSError):
            self._write("cgroup.procs", "0")

    def members(self) -> list[int]:
        """Every process of the group and of those below it."""
        found: list[int] = []
        for directory, _, _ in os.walk(self.path):
            with (
                contextlib.suppress(OSError, ValueError),
                open(f"{directory}/cgroup.procs") as file,  # noqa: PTH123
            ):
                # A process that this PID namespace does not see is listed as 0.
                found += [pid for line in file if (pid := int(line))]
        return found

    def kill(self) -> None:
        """SIGKILL to all members at once, forks under way included. Before Linux 5.14 nothing."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", "1")

    def remove(self) -> None:
        """Remove the group and those below it, as far as they are empty."""
        for directory, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)  # noqa: PTH106

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
