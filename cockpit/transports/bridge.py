"""The far end of an SSH connection: finds the box's agent, or starts one, and is a pipe to it.

Sent as text over the connection and run by a bare `python3` of the box, so it is standard library
only and imports nothing of cockpit. What it is told comes first on stdin: one JSON line. What it
answers is one line that begins with MARK (a login shell may have printed before), then either
bytes to and from the agent's socket, or the end.

Nothing is installed: the agent's code goes to a directory named by its content below the state
directory, is used by every later connection, and is swept when another version has replaced it.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

MARK = b"\x00COCKPIT "
APP = "cockpit"
START_S = 15.0
END_S = 8.0
POLL_S = 0.02
CHUNK = 1 << 16
LOG_TAIL = 1500
PAYLOAD_MOST = 256 << 20
STALE_S = 30 * 86400.0
"""Code that no agent has been started from for so long is swept; running shims keep theirs."""


class TroubleError(Exception):
    """What went wrong on this side, and what to do: shown to the person at the other one."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message, self.advice = message, advice


class Bridge:
    """One conversation over stdin and stdout."""

    def __init__(self, incoming: io.BufferedReader, outgoing: BinaryIO) -> None:
        self.incoming, self.outgoing = incoming, outgoing
        self.told: dict[str, Any] = {}

    def run(self) -> int:
        """Do what was asked for. The exit code says little: the answer line tells."""
        try:
            self.told = json.loads(self.incoming.readline())
            work: dict[str, Callable[[], None]] = {
                "agent": self.lead_to_agent,
                "restart": self.restart,
                "folder": self.receive_folder,
                "forget": self.forget,
            }
            work[self.told["mode"]]()
        except TroubleError as trouble:
            self.answer(status="error", message=trouble.message, advice=trouble.advice)
            return 1
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            self.answer(status="error", message=f"{type(error).__name__}: {error}", advice="")
            return 1
        return 0

    def answer(self, **values: Any) -> None:
        """One line, marked, so that whatever else a shell has printed is told apart from it."""
        self.outgoing.write(b"\n" + MARK + json.dumps(values).encode() + b"\n")
        self.outgoing.flush()

    # The agent

    def lead_to_agent(self) -> None:
        """Be a pipe to the agent, started from sent code if there is none."""
        connection = _connect(self.told["name"])
        if connection is None:
            connection = self._start_agent()
        self.answer(status="connected", hostname=socket.gethostname(), note=_state_note())
        self._relay(connection)

    def _start_agent(self) -> socket.socket:
        code = self._received("agents", self.told["payload"])
        (code / "used").touch()
        runtime = _private(runtime_dir())
        log = _private(state_dir() / self.told["name"]) / "agent.log"
        lock = runtime / f"agent-{self.told['name']}.lock"
        agent = _spawn(code, self.told["settings"], log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            connection = _connect(self.told["name"])
            if connection is not None:
                _sweep(code)
                return connection
            if agent.poll() is not None:
                if agent.returncode:
                    raise TroubleError(
                        f"the agent ended with exit code {agent.returncode}", _log_tail(log)
                    )
                if _holder(lock) is None:
                    # It found an earlier agent in the act of ending; that one is gone now.
                    agent = _spawn(code, self.told["settings"], log)
            time.sleep(POLL_S)
        raise TroubleError(f"the agent did not listen within {START_S:.0f} s", _log_tail(log))

    def restart(self) -> None:
        """End the running agent, gently if it listens; jobs go on in their shims."""
        lock = runtime_dir() / f"agent-{self.told['name']}.lock"
        connection = _connect(self.told["name"])
        if connection is not None:
            request = {"jsonrpc": "2.0", "id": 1, "method": "shutdown", "params": {}}
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(request).encode() + b"\n")
                _until_free(lock, END_S)
            connection.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = _holder(lock)
            if pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            _until_free(lock, END_S)
        self.answer(status="done")

    def _relay(self, connection: socket.socket) -> NoReturn:
        """Pass bytes on until either side ends. Each direction blocks by itself."""

        def inwards() -> None:
            while data := self.incoming.read1(CHUNK):
                connection.sendall(data)
            os._exit(0)

        threading.Thread(target=_ending(inwards), daemon=True).start()

        def outwards() -> None:
            while data := connection.recv(CHUNK):
                self.outgoing.write(data)
                self.outgoing.flush()

        _ending(outwards)()
        os._exit(0)

    # Folders

    def receive_folder(self) -> None:
        """Take a folder by its content's name, sent only if it is not here yet; answer its path."""
        path = self._received("folders", self.told["payload"])
        (path.parent / f"{path.name}.used").touch()
        self.answer(status="done", path=str(path))

    def _received(self, kind: str, digest: str) -> Path:
        """The directory of that content, asked for over the connection where it is missing."""
        if len(digest) < 16 or not digest.isalnum():
            raise TroubleError(f"{digest!r} names no content")
        place = _private(state_dir() / "received" / kind)
        path = place / digest
        if path.is_dir():
            return path
        self.answer(status="send")
        size = int(self.incoming.readline())
        if not 0 < size <= PAYLOAD_MOST:
            raise TroubleError(f"{size} bytes are more than the {PAYLOAD_MOST} that can be sent")
        data = self.incoming.read(size)
        if len(data) != size:
            raise TroubleError("the connection ended before everything was sent")
        spare = place / f".{digest}.{os.getpid()}"
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                _extract(archive, spare)
            with contextlib.suppress(OSError):  # somebody else has just sent the same
                spare.rename(path)
        finally:
            shutil.rmtree(spare, ignore_errors=True)
        return path

    def forget(self) -> None:
        """Delete what connections have left here: code and folders, never jobs or history."""
        shutil.rmtree(state_dir() / "received", ignore_errors=True)
        self.answer(status="done")


def _extract(archive: zipfile.ZipFile, target: Path) -> None:
    """Unpack with file modes. Names that lead outside are refused."""
    target.mkdir(mode=0o700)
    root = target.resolve()
    for entry in archive.infolist():
        path = (target / entry.filename).resolve()
        if not path.is_relative_to(root):
            raise TroubleError(f"{entry.filename!r} leads out of the folder that was sent")
        archive.extract(entry, target)
        mode = (entry.external_attr >> 16) & 0o777
        if mode and not entry.is_dir():
            path.chmod(mode | 0o600)


def _ending(work: Callable[[], None]) -> Callable[[], None]:
    """A broken pipe at either side is simply the end."""

    def guarded() -> None:
        with contextlib.suppress(OSError, ValueError):
            work()
        os._exit(0)

    return guarded


# The same places as cockpit.paths


def _base(variable: str, fallback: Path) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else fallback


def runtime_dir() -> Path:
    """Where sockets are: the same as for a terminal on this box, though SSH may not say so."""
    value = os.environ.get("XDG_RUNTIME_DIR", "")
    for candidate in (value, f"/run/user/{os.getuid()}"):
        if candidate.startswith("/") and os.access(candidate, os.W_OK):
            return Path(candidate) / APP
    return Path(f"/tmp/{APP}-{os.getuid()}")


def state_dir() -> Path:
    """Where jobs and history are; below /tmp if the home directory takes no files."""
    usual = _base("XDG_STATE_HOME", Path.home() / ".local/state")
    return (usual if _writable(usual) else _spare_state()) / APP


def _spare_state() -> Path:
    return Path(f"/tmp/{APP}-{os.getuid()}/state")


def _writable(directory: Path) -> bool:
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    if not os.access(directory, os.W_OK):
        return False
    # Root may write anywhere but on a file system that is mounted read-only.
    return not os.statvfs(directory).f_flag & os.ST_RDONLY


def _state_note() -> str:
    usual = _base("XDG_STATE_HOME", Path.home() / ".local/state")
    if _writable(usual):
        return ""
    return f"{usual} takes no files, so jobs and history are in {_spare_state()}"


def _private(directory: Path) -> Path:
    for each in (*reversed(directory.parents), directory):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise TroubleError(
            f"{directory} belongs to another user", "Remove it, or set XDG_STATE_HOME."
        )
    directory.chmod(0o700)
    return directory


# The agent as a process


def _connect(name: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(runtime_dir() / f"agent-{name}.sock"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _spawn(code: Path, settings: str, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "XDG_STATE_HOME": str(state_dir().parent)}
    environment["XDG_RUNTIME_DIR"] = str(runtime_dir().parent)
    if runtime_dir().parent == Path("/tmp"):
        del environment["XDG_RUNTIME_DIR"]
    with log.open("ab") as output, tempfile.TemporaryFile() as given:
        # Not as an argument: every user of the box can read those.
        given.write(settings.encode())
        given.seek(0)
        return subprocess.Popen(
            [sys.executable, "-I", str(code), "--settings"],
            stdin=given,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            start_new_session=True,
        )


def _sweep(kept: Path) -> None:
    """Delete code and folders that nothing has used for a long time."""
    for mark in (*kept.parent.glob("*/used"), *kept.parent.parent.glob("folders/*.used")):
        owner = mark.parent if mark.name == "used" else mark.with_suffix("")
        with contextlib.suppress(OSError):
            if owner != kept and time.time() - mark.stat().st_mtime > STALE_S:
                shutil.rmtree(owner, ignore_errors=True)
                mark.unlink(missing_ok=True)


def _holder(lock: Path) -> int | None:
    """The pid of the agent that holds the lock, None when nobody does."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        text = lock.read_text().strip()
        return int(text) if text.isdigit() else None
    return None


def _until_free(lock: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _holder(lock) is not None and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _log_tail(log: Path) -> str:
    try:
        text = log.read_bytes()[-LOG_TAIL:].decode(errors="replace").strip()
    except OSError:
        text = ""
    return f"Its log {log} ends with:\n{text}" if text else f"Its log {log} is empty."


def main() -> int:
    """Take stdin and stdout for the conversation, so that a stray print cannot corrupt it."""
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    assert isinstance(incoming, io.BufferedReader)
    os.dup2(2, 1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.umask(0o077)
    return Bridge(incoming, outgoing).run()


if __name__ == "__main__":
    sys.exit(main())
