"""The ways to tell somebody that a job has ended: a command of theirs, and a webhook.

Both block; they belong into a thread. Each returns an empty text if it went well, else what went
wrong, in words that hold neither the address nor the headers: those may be secrets.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cockpit import __version__, codec
from cockpit.model import Job

COMMAND_TIMEOUT_S = 30.0
WEBHOOK_TIMEOUT_S = 10.0
PAUSES_S = (1.0, 5.0, 25.0)
"""Before the second, third and fourth attempt at a webhook."""
TRY_AGAIN = (408, 425, 429)
"""Answers below 500 after which another attempt may go well."""

Note = Mapping[str, Any]
"""What is told: a JSON object."""


def note_of(job: Job, box: str, event: str, delivery: str) -> dict[str, Any]:
    """What a command and a webhook are given. `text` and `content` are what chats show."""
    plain = json.loads(codec.dumps(job))
    plain.pop("views", None)
    text = words(job, box)
    return {
        "schema": 1,
        "event": event,
        "delivery": delivery,
        "box": box,
        "text": text,
        "content": text,
        "job": plain,
    }


def words(job: Job, box: str) -> str:
    """One line for people."""
    took = ""
    if job.started_s is not None and job.ended_s is not None:
        took = f" after {_length(job.ended_s - job.started_s)}"
    reason = f": {job.reason}" if job.reason else ""
    return f"Job {job.id} ({job.name}) {job.state}{took} on {box}{reason}"


def _length(seconds: float) -> str:
    whole = max(0, round(seconds))
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def run_command(command: str, note: Note, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
    """Run it without a shell, the note on its stdin and the job in COCKPIT_JOB_… variables."""
    with tempfile.TemporaryFile() as complaints:
        try:
            program, *arguments = shlex.split(command)
            process = subprocess.Popen(
                [str(Path(program).expanduser()), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                env={**os.environ, **_variables(note)},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"cannot run it: {getattr(error, 'strerror', None) or error}"
        try:
            # A command that does not read its stdin is as good as one that does.
            with contextlib.suppress(BrokenPipeError):
                process.communicate(json.dumps(note).encode(), timeout_s)
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"it took longer than {timeout_s:g} s and was ended"
        if process.returncode == 0:
            return ""
        complaints.seek(0)
        last = complaints.read()[-2000:].decode(errors="replace").strip().splitlines()
        return f"exit code {process.returncode}{': ' + last[-1] if last else ''}"


def _variables(note: Note) -> dict[str, str]:
    """What a command reads without knowing JSON."""
    job = note["job"]
    values = {
        "TEXT": note["text"],
        "ID": job["id"],
        "NAME": job["name"],
        "STATE": job["state"],
        "REASON": job["reason"],
        "PLUGIN": job["plugin"],
        "BOX": note["box"],
        "EXIT_CODE": job["exit_code"],
        "GPUS": ",".join(job["gpus"]),
        # Not COCKPIT_JOB_DIR, which marks a job's own processes: they end with it.
        "DIRECTORY": job["directory"],
        "ENERGY_J": job["energy_j"],
        "SECONDS": _seconds(job),
    }
    return {
        f"COCKPIT_JOB_{name}": "" if value is None else str(value).replace("\0", "")
        for name, value in values.items()
    }


def _seconds(job: Mapping[str, Any]) -> float | None:
    if job["started_s"] is None or job["ended_s"] is None:
        return None
    return round(float(job["ended_s"]) - float(job["started_s"]), 3)


def post(
    address: str,
    headers: Mapping[str, str],
    note: Note,
    attempts: int = len(PAUSES_S) + 1,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """POST the note as JSON, again after a pause where that may help. Redirects are not followed:
    the headers are for nobody else."""
    problem = ""
    for attempt in range(attempts):
        if attempt:
            sleep(PAUSES_S[attempt - 1])
        problem, again = _post_once(address, headers, note)
        if not problem or not again:
            break
    tried = f" ({attempts} attempts)" if problem and again and attempts > 1 else ""
    return f"{urlsplit(address).hostname}: {problem}{tried}" if problem else ""


def _post_once(address: str, headers: Mapping[str, str], note: Note) -> tuple[str, bool]:
    """What went wrong, and whether it may go well another time."""
    # Only who has a webhook pays for these imports.
    import http.client
    import urllib.error
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    own = {"Content-Type": "application/json", "User-Agent": f"cockpit/{__version__}"}
    request = urllib.request.Request(
        address,
        json.dumps(note).encode(),
        {**own, "X-Cockpit-Delivery": str(note["delivery"]), **headers},
        method="POST",
    )
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=WEBHOOK_TIMEOUT_S):
            return "", False
    except urllib.error.HTTPError as error:
        error.close()
        again = error.code >= 500 or error.code in TRY_AGAIN
        return f"it answered {error.code} {error.reason}", again
    except urllib.error.URLError as error:
        return f"it cannot be reached: {error.reason}", True
    except (OSError, http.client.HTTPException) as error:
        return f"it cannot be reached: {error or type(error).__name__}", True
    except ValueError as error:
        return f"the address or a header makes no sense: {error}", False
