"""`cockpit plugins check`: a plugin's files are read, it runs once and shortly, a reviewer speaks."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cockpit import plugins
from cockpit.cli.connect import run_async
from cockpit.cli.following import wait_ended
from cockpit.cli.text import count_of, parse_duration, print_json
from cockpit.client import Box
from cockpit.errors import BoxError, UsageError
from cockpit.model import SCHEMA, Job
from cockpit.plugins import Place, Plugin
from cockpit.review import Finding, SmokeRun, review_files, review_run
from cockpit.settings import AgentSettings, SimulateSettings

TIMEOUT = "5m"
LOG_BYTES = 2000
GRACE_S = 3.0
WARNINGS_MOST = 5
EVENT_TYPES = (
    *("progress", "metrics", "kernel", "roofline", "frame"),
    *("image", "table", "text", "checkpoint", "output", "service", "message"),
)


def check(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    """Check one plugin; 1 when there is a problem."""
    timeout_s = parse_duration(arguments.timeout or TIMEOUT, "--timeout")
    place = _place(arguments.name, directories)
    run: SmokeRun | None = None
    try:
        plugin = plugins.load_place(place)
        findings = [*review_files(plugin)]
        request = plugins.request(plugin, plugin.check)
    except UsageError as error:
        advice = error.advice or "Name a value under [check] in plugin.toml if one is missing."
        findings = [Finding("problem", error.message, advice)]
    else:
        source = "SIMULATED GPUs" if not arguments.real_gpus else "this machine's GPUs"
        print(f"cockpit: a smoke run of {plugin.name} on {source} …", file=sys.stderr)
        with _sandbox():
            run = run_async(_smoke_run(plugin, request, timeout_s, arguments.real_gpus))
        findings += review_run(plugin, run)
    if arguments.json:
        print_json(_document(place, findings, run))
    else:
        _print(findings, run)
    return 1 if any(each.level == "problem" for each in findings) else 0


def _place(name: str, directories: tuple[Path, ...]) -> Place:
    """A plugin by its name, or by its folder. Raises UsageError if it is neither."""
    path = Path(name).expanduser()
    known = plugins.places(directories)
    if name not in known and (path / plugins.FILE).is_file():
        return Place(path.resolve().name, path.resolve(), "configured")
    if name in known:
        return known[name]
    raise UsageError(
        f"{name!r} is neither a plugin nor a folder with a {plugins.FILE}",
        f"Plugins here: {', '.join(known) or 'none'}.",
    )


@contextlib.contextmanager
def _sandbox() -> Iterator[None]:
    """Runtime, state and configuration in a private place that is gone afterwards.

    The cache stays: environments of workloads are built there, which takes minutes.
    """
    # A Unix socket's path must be short, which $TMPDIR need not be.
    with tempfile.TemporaryDirectory(prefix="ckp-", dir="/tmp") as place:
        names = ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(dict.fromkeys(names, place))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


async def _smoke_run(plugin: Plugin, request: Any, timeout_s: float, real: bool) -> SmokeRun:
    """Run a plugin to its end under an agent of its own, which ends with it."""
    from cockpit.transports.local import LocalTransport

    simulate = SimulateSettings(gpu_count=max(1, plugin.gpus.default))
    transport = LocalTransport(
        AgentSettings(
            name="check",
            source="nvml" if real else "simulated",
            idle_exit_s=10.0,
            history=False,
            simulate=simulate,
        )
    )
    box = Box(transport)
    job: Job | None = None
    try:
        info = await box.connect()
        if info.problem:
            raise BoxError(info.problem, info.advice or "")
        job = await box.submit(request)
        begun = time.monotonic()
        timed_out = False
        try:
            job = await asyncio.wait_for(wait_ended(box, job.id), timeout_s)
        except asyncio.TimeoutError:
            timed_out = True
            job = await box.stop_job(job.id, GRACE_S)
        seconds = time.monotonic() - begun
        log = await box.job_log(job.id, -LOG_BYTES, LOG_BYTES)
        return _came_to(job, seconds, not real, timed_out, request.parameters, log)
    except asyncio.CancelledError:
        if job is not None:
            await box.stop_job(job.id, GRACE_S)
        raise
    finally:
        await box.close()
        await transport.end()


def _came_to(
    job: Job,
    seconds: float,
    simulated: bool,
    timed_out: bool,
    parameters: dict[str, Any],
    log: dict[str, Any],
) -> SmokeRun:
    from cockpit.agent.jobs.events import EventTail

    path = Path(job.directory) / "events.jsonl"
    tail = EventTail(path)
    tail.read_all()
    return SmokeRun(
        state=job.state,
        reason=job.reason,
        exit_code=job.exit_code,
        seconds=seconds,
        simulated=simulated,
        timed_out=timed_out,
        gpus=len(job.gpus),
        parameters=parameters,
        progress=tail.progress,
        metrics=tuple(tail.metrics),
        kernels=tuple(tail.kernels.values()),
        frames=tuple(tail.frames),
        images=tuple(tail.images),
        tables=tuple(tail.tables),
        texts=tuple(tail.texts),
        bad_events=tail.bad_lines,
        unknown_events=_unknown_types(path),
        message=tail.message,
        warnings=_warnings(path),
        log=base64.b64decode(log["data"]).decode("utf-8", "replace"),
    )


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """Every event that has a type, also one that is not known."""
    with contextlib.suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and isinstance(event.get("type"), str):
                    yield event


def _unknown_types(path: Path) -> tuple[str, ...]:
    types = (event["type"] for event in _events(path))
    return tuple(dict.fromkeys(kind for kind in types if kind not in EVENT_TYPES))


def _warnings(path: Path) -> tuple[str, ...]:
    told = (
        str(event.get("text"))
        for event in _events(path)
        if (event["type"], event.get("level")) == ("message", "warning")
    )
    return tuple(dict.fromkeys(told))[:WARNINGS_MOST]


def _print(findings: list[Finding], run: SmokeRun | None) -> None:
    if run is not None:
        chosen = ", ".join(f"{name}={value}" for name, value in run.parameters.items())
        print(f"{'run':<8} {run.state} in {run.seconds:.1f} s with {chosen or 'no parameters'}")
    for each in findings:
        print(f"{each.level:<8} {each.text}")
        if each.advice:
            print(f"{'':<8} → {each.advice}")
    if run is not None and run.state != "COMPLETED" and run.log.strip():
        print("\nThe end of its log:")
        print("\n".join(f"    {line}" for line in run.log.strip().splitlines()[-12:]))
    problems, warnings = (_number(findings, level) for level in ("problem", "warning"))
    print(f"\n{count_of(problems, 'problem')}, {count_of(warnings, 'warning')}.")


def _document(place: Place, findings: list[Finding], run: SmokeRun | None) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "plugin": place.name,
        "directory": str(place.directory),
        "ok": not _number(findings, "problem"),
        "findings": findings,
        "run": run,
    }


def _number(findings: list[Finding], level: str) -> int:
    return sum(each.level == level for each in findings)
