"""What a reviewer says about a plugin: from its files, and from a short run of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from cockpit.model import KernelStat, Progress
from cockpit.parameters import Parameter
from cockpit.plugins import Plugin

KINDS_WITHOUT_KERNELS = ("tool", "data")
README = "README.md"


@dataclass(frozen=True)
class Finding:
    """One thing a reviewer says. A note asks for nothing, it only makes sure."""

    level: Literal["problem", "warning", "note"]
    text: str
    advice: str = ""


@dataclass(frozen=True)
class SmokeRun:
    """What a short run of a plugin came to."""

    state: str
    reason: str
    exit_code: int | None
    seconds: float
    simulated: bool
    """Whether its GPUs were SIMULATED."""
    timed_out: bool
    gpus: int
    parameters: Mapping[str, object]
    progress: Progress | None
    metrics: tuple[str, ...]
    kernels: tuple[KernelStat, ...]
    frames: tuple[str, ...]
    images: tuple[str, ...]
    tables: tuple[str, ...]
    texts: tuple[str, ...]
    bad_events: int
    unknown_events: tuple[str, ...]
    message: str
    warnings: tuple[str, ...]
    """What it warned of itself."""
    log: str
    """The end of what it wrote."""


def review_files(plugin: Plugin) -> Iterator[Finding]:
    """What can be said without running it."""
    if not (plugin.directory / README).is_file():
        yield Finding(
            "warning", f"there is no {README}", "Say what it computes, and how to run it."
        )
    for parameter in plugin.parameters:
        yield from _review_parameter(parameter)
    if not plugin.views:
        yield Finding("note", "it has no views: its job screen shows no chart and no picture")


def _review_parameter(parameter: Parameter) -> Iterator[Finding]:
    where = f"parameters.{parameter.name}"
    if not parameter.help:
        yield Finding("warning", f"{where} has no help", "One line that a newcomer understands.")
    if parameter.type not in ("int", "float"):
        return
    missing = [key for key in ("minimum", "maximum") if getattr(parameter, key) is None]
    if missing:
        yield Finding(
            "warning",
            f"{where} has no {' and no '.join(missing)}",
            "Bounds keep a slip of the finger from becoming a job of days.",
        )
    if not parameter.unit:
        yield Finding("note", f"{where} has no unit; right if it is a plain number")


def review_run(plugin: Plugin, run: SmokeRun) -> Iterator[Finding]:
    """What a run shows."""
    if run.state != "COMPLETED" or run.exit_code:
        yield _failure(run)
        return
    if run.bad_events:
        yield Finding(
            "problem",
            f"{run.bad_events} of its events could not be read",
            "An event is one line of JSON with a type; numbers are finite.",
        )
    for text in run.warnings:
        yield Finding("note", f"it warned: {text}")
    for kind in run.unknown_events:
        yield Finding("problem", f"it tells events of the type {kind!r}, which nobody reads")
    yield from _review_progress(run)
    yield from _review_views(plugin, run)
    yield from _review_kernels(plugin, run)


def _failure(run: SmokeRun) -> Finding:
    if run.timed_out:
        return Finding(
            "problem",
            f"the smoke run was not done after {run.seconds:.0f} s, and was stopped",
            "Name a shorter one under [check] in plugin.toml, or give it longer with --timeout.",
        )
    said = f" ({run.message})" if run.message else ""
    advice = ""
    if run.simulated and run.gpus:
        advice = "Its GPU was SIMULATED: --real-gpus takes those of this machine."
    return Finding("problem", f"the smoke run {run.state}: {run.reason}{said}", advice)


def _review_progress(run: SmokeRun) -> Iterator[Finding]:
    if run.progress is None:
        yield Finding(
            "warning", "it tells no progress", "job.progress(done, total), or a progress event."
        )
    elif run.progress.done < run.progress.total:
        done, total = run.progress.done, run.progress.total
        yield Finding("warning", f"it ended well, but told of {done:g} of {total:g} only")


def _review_views(plugin: Plugin, run: SmokeRun) -> Iterator[Finding]:
    told = {
        "chart": ("metric", run.metrics),
        "field": ("frame", run.frames),
        "image": ("image", run.images),
        "table": ("table", run.tables),
        "text": ("text", run.texts),
    }
    for number, view in enumerate(plugin.views, start=1):
        what, known = told[view["type"]]
        for name in view.get("metrics") or [view["name"]]:
            if name not in known:
                yield Finding("warning", f"views, number {number}: no {what} {name!r} was told")


def _review_kernels(plugin: Plugin, run: SmokeRun) -> Iterator[Finding]:
    if not run.kernels and plugin.kind not in KINDS_WITHOUT_KERNELS:
        yield Finding(
            "warning",
            f"it tells no kernel, though its kind is {plugin.kind}",
            "job.kernel(name, seconds, count, bytes, flops), or a kernel event.",
        )
    for kernel in run.kernels:
        if kernel.bytes is None and kernel.flops is None:
            text = f"the kernel {kernel.name} has neither bytes nor flops: no roofline can be drawn"
            yield Finding("note", text)
