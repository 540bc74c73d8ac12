"""The shim: one small process per job that outlives the agent, the desk and the terminal.

Run as `python -I -S shim/__main__.py SOCKET_FD` with the standard library only: this folder imports
nothing of cockpit, and all of it is loaded before the job begins, so that nothing that happens to
the installation can touch a running job. One message on the socket names the directory of the job
and brings descriptors: the lock, the pipe for news and, if there are secrets, the file with them.
Loading takes longer than all the rest of a start, so that the agent has one shim wait there. If the
agent lets go of the socket, by its own end or not, there is no job and the shim ends.

The rules that make a job directory the truth:

- Whoever holds the lock on `JOBDIR/lock` is the only writer of `status.json`. The agent takes it,
  the shim inherits the descriptor and holds it for life, so a free lock means that no shim runs.
- `start.json` (from the agent) says what to run; `cancel.json` (from the agent, before a SIGTERM to
  the shim) asks for the end. Nothing else passes between them, but for the values of secrets: these
  come through a file in memory that is read once and closed.
- The shim is a sub-reaper: whatever the job leaves behind becomes its child and ends with the job.
  Where the agent's cgroup is delegated, the job has one of its own as well.
- If the shim itself is killed, the kernel kills the job's first process; the agent takes the lock,
  finds the rest by its cgroup, its log and the job directory in its environment, kills it and
  writes LOST.

Each write to the pipe for news tells the agent that `status.json` changed; nobody needs to listen.
"""

from .files import RESERVED_BYTES, read_json, sync_directory, write_json
from .processes import boot_id, descendants, start_ticks

__all__ = [
    "DEFAULT_GRACE_S",
    "RESERVED_BYTES",
    "boot_id",
    "descendants",
    "read_json",
    "start_ticks",
    "sync_directory",
    "write_json",
]

DEFAULT_GRACE_S = 10.0
