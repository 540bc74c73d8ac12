"""`cockpit files` and `cockpit cp`: what a job has made, and how it comes to this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.copying import Copied, Copy
from cockpit.cli.text import count_of, local_time, print_json, table
from cockpit.client import Box
from cockpit.errors import CockpitError, UsageError
from cockpit.model import SCHEMA, JobFile

TELL_EVERY_S = 0.2
TOLD_MOST = 10


def _split(text: str) -> tuple[str, str]:
    """`12:outputs/model` as the job and the path in its directory. Raises UsageError."""
    job_id, colon, path = text.partition(":")
    if not colon or not job_id or "/" in job_id:
        raise UsageError(
            f"{text!r} names no file of a job", "Write JOB:PATH, such as 12:outputs or 12:"
        )
    return job_id, path.strip("/") if path.strip("/") != "." else ""


def _add_files_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="JOB[:PATH]", help="a job, or a path in its directory")
    parser.add_argument("--json", action="store_true", help="print as JSON (schema 1)")


def run_files(arguments: argparse.Namespace) -> int:
    """List what lies in a job's directory."""
    job_id, path = _split(arguments.place if ":" in arguments.place else f"{arguments.place}:")

    async def work(box: Box) -> int:
        async with box:
            found = await box.job_files(job_id, path)
        if arguments.json:
            document = {"schema": SCHEMA, "job": job_id, "path": path, "files": found}
            print_json(document)
            return 0
        rows = [(str(each.size), _when(each), _named(each, path)) for each in found]
        if rows:
            print(table(("BYTES", "CHANGED", "PATH"), rows, left=(1, 2)))
        else:
            print(f"cockpit: {arguments.place} is an empty folder", file=sys.stderr)
        return 0

    return run_async(work(open_box(arguments)))


files = Command(_add_files_arguments, run_files)


def _when(entry: JobFile) -> str:
    return local_time(entry.modified_ns / 1e9)


def _named(entry: JobFile, path: str) -> str:
    name = entry.path or PurePosixPath(path).name
    end = {"folder": "/", "link": f" → {entry.leads_to}"}.get(entry.kind, "")
    shown = name if entry.kind != "other" else f"{name} (a pipe, socket or device)"
    return "".join(letter if letter.isprintable() else "·" for letter in shown + end)


def _add_cp_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="JOB:PATH", help="a file or folder of a job's directory"
    )
    parser.add_argument("target", metavar="TO", help="a folder or a new name here; -: stdout")
    parser.add_argument("--json", action="store_true", help="print what was copied (schema 1)")
    parser.epilog = "`cockpit files JOB` lists what there is. A copy that was cut off goes on."


def run_cp(arguments: argparse.Namespace) -> int:
    """Copy files and folders of jobs to this machine."""
    sources = [_split(text) for text in arguments.sources]
    target = Path(arguments.target).expanduser()
    if len(sources) > 1 and arguments.target != "-" and not target.is_dir():
        raise UsageError(f"{target} is no folder here", "Several things are copied into one.")

    async def work(box: Box) -> int:
        async with box:
            if arguments.target == "-":
                return await _to_stdout(box, sources)
            code = 0
            for job_id, path in sources:
                copied = await _copy(box, job_id, path, target)
                _tell(job_id, path, copied, arguments.json)
                code = code or int(bool(copied.left_out))
        return code

    return run_async(work(open_box(arguments)))


cp = Command(_add_cp_arguments, run_cp)


async def _copy(box: Box, job_id: str, path: str, target: Path) -> Copied:
    entries = await box.job_files(job_id, path)
    goal = target / (PurePosixPath(path).name or f"job-{job_id}") if target.is_dir() else target
    one_file = len(entries) == 1 and not entries[0].path
    if not goal.parent.is_dir():
        raise UsageError(f"there is no folder {goal.parent} here")
    if not one_file and goal.is_file():
        raise UsageError(f"{goal} is a file here, and a folder of the job", "Choose another name.")
    total = sum(each.size for each in entries if each.kind == "file")
    meter = _Meter(total, f"{job_id}:{path}")
    copy = Copy(box, job_id, meter.show)
    try:
        if not one_file:
            goal.mkdir(exist_ok=True)
        await copy.take(path, entries, goal)
    except OSError as error:
        raise CockpitError(f"{goal} cannot be written: {error.strerror}") from None
    finally:
        meter.close()
    return copy.done


async def _to_stdout(box: Box, sources: Sequence[tuple[str, str]]) -> int:
    import base64

    for job_id, path in sources:
        offset = 0
        while True:
            answer = await box.job_read(job_id, path, offset, 1 << 20)
            data = base64.b64decode(answer["data"])
            if not data:
                break
            sys.stdout.buffer.write(data)
            offset += len(data)
    return 0


def _tell(job_id: str, path: str, copied: Copied, as_json: bool) -> None:
    if as_json:
        left_out = [{"path": name, "reason": reason} for name, reason in copied.left_out]
        told = {**vars(copied), "left_out": left_out}
        print_json({"schema": SCHEMA, "job": job_id, "path": path, **told})
    words = f"{count_of(copied.files, 'file')}, {_size(copied.bytes)}"
    if copied.already:
        words += f"; {count_of(copied.already, 'file')} {'was' if copied.already == 1 else 'were'}"
        words += " here already"
    print(f"cockpit: {job_id}:{path}: {words}", file=sys.stderr)
    for changed in copied.changed[:TOLD_MOST]:
        print(f"cockpit: {changed} was written to while it was copied", file=sys.stderr)
    for name, reason in copied.left_out[:TOLD_MOST]:
        print(f"cockpit: {name} was left out: {reason}", file=sys.stderr)
    if len(copied.left_out) > TOLD_MOST:
        rest = len(copied.left_out) - TOLD_MOST
        print(f"cockpit: and {rest} more were left out", file=sys.stderr)


def _size(count: int) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


class _Meter:
    """How far it is, on a terminal only."""

    def __init__(self, total: int, name: str) -> None:
        self._total, self._name = total, name
        self._shown = sys.stderr.isatty()
        self._last_s = 0.0

    def show(self, came: int) -> None:
        now_s = time.monotonic()
        if self._shown and now_s - self._last_s >= TELL_EVERY_S:
            self._last_s = now_s
            share = f"{100 * came / self._total:.0f} % of " if self._total else ""
            print(f"\r\033[K{self._name}: {share}{_size(self._total)}", end="", file=sys.stderr)

    def close(self) -> None:
        if self._shown and self._last_s:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
