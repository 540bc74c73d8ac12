"""`cockpit run` and `cockpit exec`: start a plugin, or any command, as a job."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from cockpit import parameters, plugins
from cockpit.cli import secret_options, wish_options
from cockpit.cli.arrays import expand, wait_for_array
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, open_box, options_of, run_async
from cockpit.cli.following import exit_code, follow_log, wait_ended, wait_started
from cockpit.cli.jobs import print_job
from cockpit.cli.patience import patiently
from cockpit.cli.wish_options import Wanted, Wishes
from cockpit.client import Box
from cockpit.errors import UsageError
from cockpit.model import Job, JobRequest

PASSED_ON = (
    *("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL"),
    *("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CUDA_HOME"),
)
"""Of this shell's environment, what a command of `cockpit exec` needs to be the same command."""
REMOTE_TOO = ("LANG", "LC_ALL")
"""Of that, what makes sense on another machine."""


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "cockpit run PLUGIN [OPTIONS] [PARAMETERS]"
    parser.epilog = (
        "`cockpit plugins` lists what can be run; `cockpit run PLUGIN --help` its parameters."
    )
    _add_common(parser)
    parser.add_argument("--preset", metavar="NAME", help="one of the plugin's presets")
    parser.add_argument("plugin", metavar="PLUGIN", help="name of a plugin")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def _add_common(parser: argparse.ArgumentParser) -> None:
    wish_options.add_options(parser)
    parser.add_argument(
        "--after",
        action="append",
        default=[],
        metavar="ID",
        help="start once this job, or array (12[]), has completed; may be given again",
    )
    secret_options.add_option(parser)
    parser.add_argument("--name", help="what to call the job")
    parser.add_argument(
        "--notify",
        action=argparse.BooleanOptionalAction,
        help="tell of its end in any case, or in none (otherwise as [notify] has it)",
    )
    parser.add_argument("--detach", action="store_true", help="do not follow the log")
    parser.add_argument(
        "--json", action="store_true", help="print the job as JSON and do not follow it"
    )


def run_plugin(arguments: argparse.Namespace) -> int:
    """Submit a plugin; follow it until it ends unless told otherwise."""
    directories = load_config(options_of(arguments)).plugin_directories()
    plugin = plugins.find(arguments.plugin, directories)
    parser = argparse.ArgumentParser(
        prog=f"cockpit run {plugin.name}",
        description=f"{plugin.title}: {plugin.summary}",
        allow_abbrev=False,
    )
    _add_common(parser)
    parser.add_argument("--preset", metavar="NAME", help=_preset_help(plugin))
    parameters.add_options(parser, plugin.parameters)
    parser.parse_args(arguments.rest, arguments)
    given, preset = parameters.given(arguments), arguments.preset
    # What is wrong is told before an agent is started.
    chosen = plugins.find_preset(plugin, preset).parameters if preset else {}
    plugins.validate(plugin, {**chosen, **given})

    def request(gpus: Wanted | None) -> JobRequest:
        return plugins.request(plugin, given, gpus, arguments.name, preset=preset)

    return _submit(arguments, request)


run = Command(add_run_arguments, run_plugin)


def _preset_help(plugin: plugins.Plugin) -> str:
    """The presets there are; without any the option is taken all the same, and not shown."""
    if not plugin.presets:
        return argparse.SUPPRESS
    listed = "; ".join(f"{preset.name}: {preset.title}" for preset in plugin.presets)
    return f"a choice with a name, over which every option wins: {listed}".replace("%", "%%")


def add_exec_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "cockpit exec [OPTIONS] -- COMMAND …"
    _add_common(parser)
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="pass this variable on too; may be given again",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--chdir", metavar="DIR", help="run there, live (default: here)")
    where.add_argument(
        "--workdir", metavar="DIR", help="run in a copy of DIR as it is now; up to 2 GiB"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")


def run_exec(arguments: argparse.Namespace) -> int:
    """Submit a command; follow it until it ends unless told otherwise."""
    words = arguments.command
    command = tuple(words[1:] if words[:1] == ["--"] else words)
    if not command:
        raise UsageError("there is no command", "cockpit exec --gpus 1 -- COMMAND …")
    remote = options_of(arguments).host is not None
    snapshot = None if arguments.workdir is None else _folder("--workdir", arguments.workdir)
    live = None if snapshot else _live_directory(arguments.chdir, remote)

    def request(gpus: Wanted | None) -> JobRequest:
        return JobRequest(
            name=arguments.name or Path(command[0]).name,
            command=command,
            gpus=1 if gpus is None else gpus,
            environment=_environment(arguments.env, REMOTE_TOO if remote else PASSED_ON),
            working_directory=live,
            snapshot_directory=snapshot,
        )

    return _submit(arguments, request)


exec_ = Command(add_exec_arguments, run_exec)


def _folder(option: str, text: str | Path) -> str:
    directory = Path(text).expanduser().absolute()
    if not directory.is_dir():
        raise UsageError(f"{option}: {directory} is not a directory")
    return str(directory)


def _live_directory(chosen: str | None, remote: bool) -> str | None:
    """Where the command runs; on another machine its own directory, unless one there is named."""
    if not remote:
        return _folder("--chdir", chosen or Path.cwd())
    if chosen is not None and not chosen.startswith("/"):
        raise UsageError(
            f"--chdir: {chosen!r} is to be a directory of the other box", "Write its absolute path."
        )
    return chosen


def _environment(extra: list[str], passed_on: tuple[str, ...]) -> dict[str, str]:
    environment = {name: os.environ[name] for name in passed_on if name in os.environ}
    for text in extra:
        name, equals, value = text.partition("=")
        if not name or (not equals and name not in os.environ):
            raise UsageError(f"--env: {text!r} is not set here", "Write it as NAME=VALUE.")
        environment[name] = value if equals else os.environ[name]
    return environment


def _submit(arguments: argparse.Namespace, request: Callable[[Wanted | None], JobRequest]) -> int:
    """Ctrl+C leaves the job alone once it is submitted."""
    submitted: list[Job] = []
    secrets = secret_options.values(arguments.secret)
    wishes = wish_options.read(arguments)

    def whole(gpus: Wanted | None) -> JobRequest:
        return replace(
            wishes.put_into(request(gpus)),
            secrets=tuple(secrets),
            notify=arguments.notify,
            token=os.urandom(16).hex(),
        )

    try:
        box = open_box(arguments)
        return run_async(_start(box, arguments, wishes, whole, secrets, submitted))
    except KeyboardInterrupt:
        if not submitted:
            raise
        _say_detached(submitted[0])
        return 130


async def _start(
    box: Box,
    arguments: argparse.Namespace,
    wishes: Wishes,
    request: Callable[[Wanted | None], JobRequest],
    secrets: Mapping[str, str],
    submitted: list[Job],
) -> int:
    settings = load_config(options_of(arguments)).bell_settings()
    async with box:
        assert box.info is not None
        wanted = request(wishes.wanted(box.info))
        wanted = replace(wanted, after=tuple(await expand(box, arguments.after)))
        # An agent that ends before it has answered is asked again: the token makes it one job.
        job = await patiently(box, partial(box.submit, wanted, secrets))
        submitted.append(job)
        if arguments.json:
            members = await box.jobs(array=job.id) if wanted.array else [job]
            for member in reversed(members):
                print_job(member, as_json=True)
            return 0
        simulated = " on a SIMULATED box" if box.info.simulated else ""
        print(f"cockpit: {_named(job)} ({job.name}) submitted{simulated}", file=sys.stderr)
        if arguments.detach:
            _say_detached(job)
            return 0
        if wanted.array:
            return await wait_for_array(box, job.id)
        await wait_started(box, job)
        await follow_log(box, job.id)
        ended = await wait_ended(box, job.id)
    reason = f": {ended.reason}" if ended.reason else ""
    print(f"cockpit: job {ended.id} {ended.state}{reason}", file=sys.stderr)
    from cockpit.cli.ring import ring  # most starts are not waited for

    ring(ended, settings)
    return exit_code(ended)


def _named(job: Job) -> str:
    return f"array {job.id}[] of {job.array.size} jobs" if job.array else f"job {job.id}"


def _say_detached(job: Job) -> None:
    whole = f"{job.id}[]" if job.array else job.id
    follow = f"`cockpit wait {whole}` waits for it" if job.array else ""
    follow = follow or f"`cockpit logs -f {job.id}` follows it"
    print(
        f"cockpit: detached, {_named(job)} goes on; {follow}, `cockpit stop {whole}` ends it",
        file=sys.stderr,
    )
