"""The front door: the command line is read before anything heavy is imported."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

from cockpit.cli.options import GLOBAL_OPTIONS, GlobalOptions, take_global_options
from cockpit.errors import CockpitError, UsageError

COMMANDS: dict[str, tuple[str, str]] = {
    "status": ("every GPU once, now", "cockpit.cli.status:status"),
    "history": ("one metric of one GPU over time", "cockpit.cli.history:history"),
    "events": ("what happened, and when", "cockpit.cli.events:events"),
    "metrics": ("the figures in Prometheus format", "cockpit.cli.metrics:metrics"),
    "record": ("write what happens to a file, for --replay", "cockpit.cli.record:record"),
    "run": ("start a plugin on GPUs", "cockpit.cli.run:run"),
    "exec": ("start any command as a job", "cockpit.cli.run:exec_"),
    "bench": ("measure a plugin, as a job", "cockpit.cli.bench:bench"),
    "jobs": ("every job", "cockpit.cli.jobs:jobs"),
    "job": ("one job in full", "cockpit.cli.jobs:job"),
    "show": ("the tables, texts and images of a job", "cockpit.cli.show:show"),
    "logs": ("what a job wrote", "cockpit.cli.jobs:logs"),
    "files": ("the files in a job's directory", "cockpit.cli.files:files"),
    "cp": ("copy files of a job to this machine", "cockpit.cli.files:cp"),
    "wait": ("wait for jobs; ends with their exit code", "cockpit.cli.jobs:wait"),
    "stop": ("stop jobs and everything they started", "cockpit.cli.jobs:stop"),
    "rm": ("delete jobs that have ended, with their files", "cockpit.cli.ended:rm"),
    "requeue": ("run a job that has ended once more", "cockpit.cli.ended:requeue"),
    "usage": ("what jobs used: GPU hours, energy, cost, CO2", "cockpit.cli.usage:usage"),
    "plugins": ("what can be run here", "cockpit.cli.plugins:plugins"),
    "environments": (
        "the Python environments of plugins",
        "cockpit.cli.environments:environments",
    ),
    "notify": ("try how you are told that a job has ended", "cockpit.cli.notify:notify"),
    "hosts": ("boxes over SSH: list, add, check, forget", "cockpit.cli.hosts:hosts"),
    "serve": ("this terminal for others: ssh, web, keys, audit", "cockpit.cli.serve:serve"),
    "doctor": ("what is wrong on this machine, and what to do", "cockpit.cli.doctor:doctor"),
    "config": ("every setting and where it came from", "cockpit.cli.config:config"),
    "themes": ("the colour themes", "cockpit.cli.themes:themes"),
    "agent": ("the process that reads the GPUs: run, status, stop", "cockpit.cli.agent:agent"),
    "completion": ("completion for bash, zsh or fish", "cockpit.cli.completion:completion"),
}
"""Name → what it shows or does, and the `cockpit.cli.command.Command` as `module:object`."""

GROUPS: dict[str, tuple[str, ...]] = {
    "See": ("status", "history", "events", "metrics", "record"),
    "Run": (
        "run",
        "exec",
        "bench",
        "jobs",
        "job",
        "show",
        "logs",
        "files",
        "cp",
        "wait",
        "stop",
        "rm",
        "requeue",
        "usage",
        "plugins",
    ),
    "Set up": (
        "hosts",
        "serve",
        "environments",
        "notify",
        "doctor",
        "config",
        "themes",
        "agent",
        "completion",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0 well, 1 a problem, 2 bad use."""
    _fill_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except CockpitError as error:
        print(f"cockpit: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return _crashed(error)
        _drop_output()
        print(f"cockpit: what was to be written does not fit: {error.strerror}", file=sys.stderr)
        return 1
    except Exception as error:
        return _crashed(error)
    return code


def _fill_closed_streams() -> None:
    """What was started with a stream closed, as in `>&-`, has nothing there; now it has /dev/null."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _drop_output() -> None:
    """Lose what is still buffered: the interpreter writes it at its end, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _crashed(error: Exception) -> int:
    from cockpit.cli.crash import report

    return report(error)


def _dispatch(argv: list[str]) -> int:
    options, words = take_global_options(argv)
    if "COCKPIT_GATE" in os.environ:
        from cockpit.cli.served import check

        check(words[0] if words else "", words[1:], options)
    if not words:
        from cockpit.cli.terminal import open_terminal

        return open_terminal(options)
    name, rest = words[0], words[1:]
    if name in ("-h", "--help"):
        print(help_text(), end="")
        return 0
    if name in ("-V", "--version"):
        from cockpit import __version__

        print(f"cockpit {__version__}")
        return 0
    if name not in COMMANDS:
        raise _unknown(name)
    return run_command(name, rest, options)


def run_command(name: str, words: list[str], options: GlobalOptions) -> int:
    """Import the one command that was called, parse its words and run it."""
    import argparse

    from cockpit.cli.table import load_command

    command = load_command(COMMANDS[name][1])
    parser = argparse.ArgumentParser(
        prog=f"cockpit {name}", description=_sentence(COMMANDS[name][0]), allow_abbrev=False
    )
    command.add_arguments(parser)
    everywhere = "`cockpit --help` lists the options that every command takes."
    parser.epilog = f"{parser.epilog} {everywhere}" if parser.epilog else everywhere
    return command.run(parser.parse_args(words, argparse.Namespace(options=options)))


def help_text() -> str:
    """What `cockpit --help` prints: the commands by what they are for."""
    lines = [
        "Usage: cockpit [OPTIONS] [COMMAND] …",
        "",
        "A terminal control center for a personal box of NVIDIA GPUs.",
        "Without a command: the terminal. `cockpit COMMAND --help` tells more about one.",
    ]
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<19}{COMMANDS[name][0]}" for name in names)]
    lines += ["", "Options, before or after the command:"]
    for option, value, summary in GLOBAL_OPTIONS:
        lines.append(f"  {f'{option} {value}'.strip():<19}{summary}")
    lines += [f"  {'--version':<19}say which cockpit this is", f"  {'--help':<19}this page"]
    lines += ["", "Exit codes: 0 well, 1 a problem was found, 2 bad use."]
    return "\n".join(lines) + "\n"


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _unknown(name: str) -> UsageError:
    import difflib

    kind = "option" if name.startswith("-") else "command"
    known = [option for option, *_ in GLOBAL_OPTIONS] if kind == "option" else list(COMMANDS)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    return UsageError(
        f"there is no {kind} `{name}`", f"{hint}`cockpit --help` lists what there is."
    )
