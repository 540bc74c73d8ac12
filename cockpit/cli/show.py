"""`cockpit show`: the tables, texts and images that a job reported."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.text import DASH, print_json, table
from cockpit.client import Box
from cockpit.errors import CockpitError, UsageError
from cockpit.model import SCHEMA, Cell, Job, JobTable

KINDS = ("table", "text", "image")
NEWER = "any version is newer than none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "cockpit show ID [NAME] [--kind KIND] [--output FILE] [--json]"
    parser.add_argument("id", metavar="ID", help="a job, as `cockpit jobs` lists it")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of a table, text or image")
    parser.add_argument("--kind", choices=KINDS, help="where a name stands for more than one")
    parser.add_argument("--output", metavar="FILE", help="write it there and not to stdout")
    parser.add_argument("--json", action="store_true", help="print JSON (schema 1)")


def run(arguments: argparse.Namespace) -> int:
    """List what a job shows, or print one of it: the newest of its name."""
    if arguments.name is None and (arguments.kind or arguments.output):
        raise UsageError("--kind and --output belong to a NAME", "cockpit show ID lists them.")

    async def work(box: Box) -> int:
        async with box:
            job = await box.job(arguments.id)
            if arguments.name is None:
                return _list(job, arguments.json)
            kind = _kind(job, arguments.name, arguments.kind)
            data = await _content(box, job, kind, arguments.name, arguments.json)
        return _deliver(data, arguments.output, is_image=kind == "image" and not arguments.json)

    return run_async(work(open_box(arguments)))


show = Command(add_arguments, run)


def _names(job: Job, kind: str) -> tuple[str, ...]:
    return {"table": job.tables, "text": job.texts, "image": tuple(job.images)}[kind]


def _list(job: Job, as_json: bool) -> int:
    if as_json:
        told = {"tables": job.tables, "texts": job.texts, "images": job.images}
        print_json({"schema": SCHEMA, "job": job.id, **told})
        return 0
    rows = [(kind, printable(name)) for kind in KINDS for name in _names(job, kind)]
    if rows:
        print(table(("KIND", "NAME"), rows, left=(0, 1)))
    else:
        print(f"cockpit: job {job.id} reported no table, text or image", file=sys.stderr)
    return 0


def _kind(job: Job, name: str, wanted: str | None) -> str:
    """What the name stands for. Raises UsageError if that is nothing, or more than one thing."""
    kinds = [kind for kind in KINDS if name in _names(job, kind) and wanted in (None, kind)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise UsageError(
            f"{name} of job {job.id} is a {' and a '.join(kinds)}", "Choose with --kind."
        )
    have = ", ".join(name for kind in KINDS for name in _names(job, kind)) or "nothing"
    raise UsageError(f"job {job.id} shows no {wanted or 'thing'} {name!r}", f"It shows: {have}.")


async def _content(box: Box, job: Job, kind: str, name: str, as_json: bool) -> bytes:
    """What is to be written for one thing, in words, as JSON, or an image's own bytes."""
    from base64 import b64encode

    from cockpit import codec

    head = {"schema": SCHEMA, "job": job.id, "kind": kind, "name": name}
    if kind == "table":
        rows = await box.job_table(job.id, name)
        assert rows is not None, NEWER
        text = codec.dumps({**head, **vars(rows)}) if as_json else in_columns(rows)
    elif kind == "text":
        told = await box.job_text(job.id, name)
        assert told is not None, NEWER
        text = codec.dumps({**head, **vars(told)}) if as_json else printable(told.text, "\n\t")
    else:
        image = await box.job_image(job.id, name)
        assert image is not None, NEWER
        if not as_json:
            return image.data
        text = codec.dumps({**head, **vars(image), "data": b64encode(image.data).decode()})
    return text.encode() + b"\n"


def _deliver(data: bytes, output: str | None, is_image: bool) -> int:
    if output is not None:
        try:
            Path(output).expanduser().write_bytes(data)
        except OSError as error:
            raise CockpitError(f"{output} cannot be written: {error.strerror}") from None
        return 0
    if is_image and sys.stdout.isatty():
        raise UsageError("an image is no text for a terminal", "Add --output FILE.")
    sys.stdout.buffer.write(data)
    return 0


def in_columns(found: JobTable) -> str:
    """A table under its heads: columns of text to the left, those of numbers to the right."""
    cells = [[_shown(cell) for cell in row] for row in found.rows]
    texts = [
        column
        for column in range(len(found.columns))
        if all(isinstance(row[column], str) for row in found.rows)
    ]
    lines = [table([printable(name) for name in found.columns], cells, left=texts)]
    if found.left_out:
        lines.append(f"and {found.left_out} more rows")
    return "\n".join(lines)


def _shown(cell: Cell) -> str:
    if cell is None:
        return DASH
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.1f}" if abs(cell) >= 1000 else f"{cell:.4g}"
    return printable(str(cell))


def printable(text: str, kept: str = "") -> str:
    """Without what would steer the terminal, but for the letters in `kept`."""
    return "".join(each if each.isprintable() or each in kept else "·" for each in text)
