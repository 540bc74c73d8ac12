"""`Job`: what a workload tells, and what it is told."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

from cockpit.sdk.events import Event, EventFile, Outlet, Printer, Throttle, run_later
from cockpit.sdk.fields import to_field
from cockpit.sdk.frames import FrameWriter
from cockpit.sdk.outputs import FOLDER, PREFIX, find_output
from cockpit.sdk.parameters import Parameters, read_parameters
from cockpit.sdk.reports import (
    PICTURE_BYTES_MOST,
    picture_suffix,
    table_content,
    text_content,
    write_whole,
)
from cockpit.sdk.services import ServiceAccess, find_service

EVENT_INTERVAL_S = 0.1
PRINT_INTERVAL_S = 1.0
LEVELS = ("info", "warning", "error")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Job:
    """This process's job. Outside cockpit the same calls print, and frames are not made."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        arguments: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        later: Callable[[float, Callable[[], None]], None] = run_later,
    ) -> None:
        """`arguments` defaults to this process's command line; the rest is for tests."""
        self._environment = environment
        self._arguments = arguments
        self._clock = clock
        self._wall_clock = wall_clock
        self._later = later
        self._frames: dict[str, FrameWriter | None] = {}
        self._warned: set[str] = set()
        self._stopping = False
        self._watching = False

    @property
    def under_cockpit(self) -> bool:
        """Whether cockpit started this process and reads its events."""
        return bool(self._environment.get("COCKPIT_EVENTS"))

    @cached_property
    def parameters(self) -> Parameters:
        """The values chosen for this run; see `Parameters.defaults` for running by hand."""
        arguments = sys.argv[1:] if self._arguments is None else self._arguments
        return read_parameters(self._environment, arguments)

    @property
    def directory(self) -> Path:
        """Where this job's files belong; the current directory outside cockpit."""
        return Path(self._environment.get("COCKPIT_JOB_DIR") or Path.cwd())

    @property
    def stopping(self) -> bool:
        """Whether this job was asked to stop (SIGTERM or Ctrl+C).

        Watches for it from the first use on, so look once at the start, and then often. A second
        Ctrl+C ends the process the hard way.
        """
        if not self._watching:
            self._watching = True
            # Only the main thread may set handlers; elsewhere the process keeps its own.
            with contextlib.suppress(ValueError):
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, self._stop)
        return self._stopping

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """How far the work is, `done` of `total` in `unit`s."""
        done_number, total_number = _number(done), _number(total)
        if done_number is None or total_number is None:
            self._leave_out("progress", done if done_number is None else total, None)
            return
        event = self._event("progress", done=done_number, total=total_number, unit=unit)
        self._out.offer("progress", event, _newest)

    def metrics(self, step: int | None = None, **values: Any) -> None:
        """Named numbers at this moment; anything with `float()` will do. NaN is left out."""
        known: dict[str, float] = {}
        for name, value in values.items():
            number = _number(value)
            if number is None:
                self._leave_out(f"metric {name}", value, step)
            else:
                known[name] = number
        if known:
            event = self._event("metrics", step=step, values=known)
            self._out.offer(("metrics", frozenset(known)), event, _newest)

    def kernel(
        self,
        name: str,
        seconds: float,
        count: int = 1,
        bytes: float | None = None,
        flops: float | None = None,
    ) -> None:
        """`count` launches of a kernel took `seconds` in all, moved `bytes` and did `flops`.

        Report only time that was measured around a synchronization.
        """
        spent = _number(seconds)
        if spent is None:
            self._leave_out(f"kernel {name}", seconds, None)
            return
        event = self._event(
            "kernel",
            name=name,
            seconds=spent,
            count=int(count),
            bytes=_number(bytes),
            flops=_number(flops),
        )
        self._out.offer(("kernel", name), event, _sum_of_kernels)

    def roofline(
        self,
        bytes_per_s: float | None = None,
        flops_per_s: float | None = None,
        measured: bool = True,
        device: str = "",
    ) -> None:
        """What this device can do at most; `measured` is False for figures of a data sheet."""
        self._out.send(
            self._event(
                "roofline",
                bytes_per_s=_number(bytes_per_s),
                flops_per_s=_number(flops_per_s),
                measured=measured,
                device=device,
            )
        )

    def frame(
        self,
        name: str,
        array: Any,
        low: float | None = None,
        high: float | None = None,
        step: int = 0,
    ) -> None:
        """Show `array` (rows × columns, the top row first) as the live field `name`.

        Drawn from `low` to `high`, by default from the least to the greatest value; NaN is drawn
        as nothing. Raises ValueError for a bad name or an array that is not such a table.
        """
        _check_name(name)
        if not self.under_cockpit:
            return
        field = to_field(array, low, high)
        writer = self._frame_writer(name, field.width, field.height)
        if writer is not None:
            writer.write(field.data, field.low, field.high, step, self._wall_clock())

    def image(self, name: str, picture: str | os.PathLike[str] | bytes) -> None:
        """Show `picture`, a PNG or JPEG as a file or as its bytes, as the image `name`.

        It is copied into the job's directory, and the newest of a name is the one that is shown.
        Outside cockpit nothing is written. Raises ValueError for a bad name or another format.
        """
        _check_name(name)
        try:
            data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
            relative = Path("images") / f"{name}{picture_suffix(data)}"
            if self.under_cockpit:
                write_whole(self.directory / relative, data)
        except OSError as error:
            self._warn_once(f"image {name}", f"No image {name}: {error.strerror or error}")
            return
        if len(data) > PICTURE_BYTES_MOST:
            size = f"{len(data) / 1e6:.1f} MB, more than {PICTURE_BYTES_MOST / 1e6:.2f} MB"
            self._warn_once(f"image {name}", f"The image {name} is too large to be shown: {size}")
        # Sent and not offered: the file is there already, and its event says that it is new.
        self._out.send(self._event("image", name=name, path=str(relative)))

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Show rows of numbers and text as the table `name`, in place of the one told before.

        What is neither becomes a number by `float()` or else text; NaN is shown as missing. Rows
        beyond 60 kB are left out. Raises ValueError for a bad name or a row of another length.
        """
        _check_name(name)
        event = self._event("table", name=name, **table_content(columns, rows))
        self._out.offer(("table", name), event, _newest)

    def text(self, name: str, text: str) -> None:
        """Show `text` as the text `name`, in place of the one told before; at most 60 kB of it."""
        _check_name(name)
        event = self._event("text", name=name, **text_content(str(text)))
        self._out.offer(("text", name), event, _newest)

    def checkpoint(self, path: str | os.PathLike[str]) -> None:
        """A state to start again from was written to `path`."""
        self._out.send(self._event("checkpoint", path=self._told_path(path)))

    def output(self, name: str) -> Path:
        """The folder in which the output `name` of this job belongs, made if it is not there.

        Write a draft beside it and rename that to here, then `publish`: so that nobody ever finds
        half of it. Raises ValueError for a bad name, OSError where there is no room.
        """
        _check_name(name)
        folder = self.directory / FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def publish(self, name: str, kind: str = "", summary: str = "") -> None:
        """Tell that the output `name` is whole, of some `kind` such as hf-model, for other jobs.

        Raises ValueError for a bad name or if nothing lies there.
        """
        _check_name(name)
        path = self.directory / FOLDER / name
        if not path.exists():
            raise ValueError(f"there is no output {name!r} to publish: {path} does not exist")
        told = {"path": self._told_path(path), "kind": kind, "summary": summary[:500]}
        self._out.send(self._event("output", name=name, **told))

    def find_output(self, reference: str, name: str) -> Path:
        """Where another job's output lies; `reference` is such as job:12.

        Raises ValueError, in words for the person, if there is none.
        """
        return find_output(self.directory.absolute().parent, reference, name)

    def find_model(self, reference: str) -> str:
        """What a person named as a model: job:12 is that job's output `model`; a folder or a hub id
        stays as it is. Raises ValueError as `find_output`."""
        if reference.startswith(PREFIX):
            return str(self.find_output(reference, "model"))
        return reference

    @property
    def service_port(self) -> int | None:
        """The port of the loopback on which this service is to listen; None if it is none."""
        port = self._environment.get("COCKPIT_SERVICE_PORT")
        return int(port) if port else None

    @property
    def service_key(self) -> str | None:
        """What clients of this service have to send as `Authorization: Bearer …`."""
        return self._environment.get("COCKPIT_SERVICE_KEY") or None

    def ready(self, models: Sequence[str] = (), detail: str = "") -> None:
        """Say that this service answers now; say it again when the list of models changes."""
        self._tell_service("ready", models, detail)

    def draining(self, models: Sequence[str] = (), detail: str = "") -> None:
        """Say that it finishes what it is answering, and takes nothing new."""
        self._tell_service("draining", models, detail)

    def service_failed(self, reason: str) -> None:
        """Say why it cannot serve; end with an exit code other than 0 then."""
        self._tell_service("failed", (), reason)

    def _tell_service(self, state: str, models: Sequence[str], detail: str) -> None:
        told = {"state": state, "models": [str(name) for name in models], "detail": detail[:500]}
        self._out.send(self._event("service", **told))

    def find_service(self, reference: str) -> ServiceAccess:
        """How another job's service is reached; `reference` is such as job:12.

        Raises ValueError, in words for the person, if there is none that is ready.
        """
        return find_service(self.directory.absolute().parent, reference)

    def message(self, text: str, level: str = "info") -> None:
        """Say something to the person; also printed, so that it is in the job's log.

        Raises ValueError if `level` is not info, warning or error.
        """
        if level not in LEVELS:
            raise ValueError(f"{level!r} is no level: use one of {', '.join(LEVELS)}")
        event = self._event("message", text=str(text), level=level)
        self._out.send(event)
        if self.under_cockpit:
            Printer().write(event)

    def flush(self) -> None:
        """Write what waits; done by itself when the process ends."""
        self._out.flush()

    @cached_property
    def _out(self) -> Throttle:
        outlet: Outlet
        if self.under_cockpit:
            outlet, interval_s = EventFile(self._environment["COCKPIT_EVENTS"]), EVENT_INTERVAL_S
        else:
            outlet, interval_s = Printer(), PRINT_INTERVAL_S
        throttle = Throttle(outlet, interval_s, self._clock, self._later)
        atexit.register(throttle.flush)
        return throttle

    def _event(self, kind: str, /, **fields: Any) -> Event:
        return {"type": kind, "time_s": self._wall_clock(), **fields}

    def _frame_writer(self, name: str, width: int, height: int) -> FrameWriter | None:
        """The ring of this name and size; None if its file could not be made, said once."""
        key = f"{name}-{width}x{height}"
        if key not in self._frames:
            self._frames[key] = None
            relative = Path("frames") / f"{key}.ring"
            try:
                writer = FrameWriter(self.directory / relative, width, height)
            except OSError as error:
                self.message(f"No live field {name}: {error.strerror or error}", "warning")
                return None
            self._frames[key] = writer
            event = self._event("frame", name=name, path=str(relative), width=width, height=height)
            self._out.send(event)
        return self._frames[key]

    def _told_path(self, path: str | os.PathLike[str]) -> str:
        """Relative to the job's directory if it lies in there, else absolute."""
        absolute = Path(path).absolute()
        with contextlib.suppress(ValueError):
            return str(absolute.relative_to(self.directory.absolute()))
        return str(absolute)

    def _leave_out(self, what: str, value: Any, step: int | None) -> None:
        where = "" if step is None else f" at step {step}"
        told = f"Left out {what}{where}: {value!r:.40} is not a finite number"
        self._warn_once(what, told)

    def _warn_once(self, what: str, text: str) -> None:
        """Say, once for each `what`, that something could not be told."""
        if what not in self._warned:
            self._warned.add(what)
            self.message(text, "warning")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: use letters, digits, - and _")


def _number(value: Any) -> float | None:
    """`value` as a finite number, or None: JSON has neither NaN nor infinity."""
    if value is None:
        return None
    try:
        number = int(value) if isinstance(value, int) else float(value)
        return number if math.isfinite(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _newest(waiting: Event, event: Event) -> Event:
    return event


def _sum_of_kernels(waiting: Event, event: Event) -> Event:
    sums = {key: waiting[key] + event[key] for key in ("seconds", "count")}
    for key in ("bytes", "flops"):
        both = waiting[key] is not None and event[key] is not None
        sums[key] = waiting[key] + event[key] if both else None
    return {**event, **sums}
