"""`cockpit serve ssh|web|keys|audit`: this box's terminal for those who come in from elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.cli.command import Command
from cockpit.cli.connect import agent_settings, load_config, options_of, run_async
from cockpit.cli.listening import parse_address, shown_address
from cockpit.cli.text import DASH, local_time, print_json, table
from cockpit.errors import CockpitError, UsageError
from cockpit.model import SCHEMA
from cockpit.roles import MEANING, ROLES

if TYPE_CHECKING:
    from cockpit.serve.ssh import Hall

SSH_ADDRESS = "127.0.0.1:8022"
SSH_DANGER = "try to log in; those whose keys you gave the operator's role run programs as you"
SESSIONS_MOST = 1000
AUDIT_SHOWN = 200
FOLLOW_EVERY_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "cockpit serve ssh [--listen ADDRESS:PORT] | web [--role ROLE]"
        " | keys [list | add FILE | remove NAME] | audit [-f]"
    )
    parser.epilog = "Roles: " + "; ".join(f"{role}: {MEANING[role]}" for role in ROLES) + "."
    parser.add_argument(
        "what",
        choices=("ssh", "web", "keys", "audit"),
        help="serve the terminal over SSH or to a browser, say whose keys are let in, or what they"
        " did",
    )
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="with keys: list, add FILE (or -), remove NAME"
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        help=f"default: {SSH_ADDRESS} for ssh, 127.0.0.1:8023 for web",
    )
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        help="let --listen take an address that other machines reach",
    )
    parser.add_argument(
        "--sessions", metavar="N", default="32", help="at most so many at once (default: 32)"
    )
    parser.add_argument(
        "--role", choices=ROLES, help="of a key that is added (viewer), or of the page (operator)"
    )
    parser.add_argument("--name", help="what a key that is added is called; default: its comment")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="with audit: go on as it happens"
    )
    parser.add_argument(
        "--json", action="store_true", help="keys: one document; audit: one entry a line"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve, or look after who is let in."""
    if arguments.what == "keys":
        return _keys(arguments)
    if arguments.words:
        raise UsageError(f"cockpit serve {arguments.what} takes no {arguments.words[0]!r}")
    if arguments.what == "audit":
        return _audit(arguments.follow, arguments.json)
    if arguments.what == "web":
        from cockpit.cli.serve_web import serve_web

        return serve_web(arguments)
    return _ssh(arguments)


serve = Command(add_arguments, run)


# Over SSH


def _ssh(arguments: argparse.Namespace) -> int:
    address, port = parse_address(
        arguments.listen or SSH_ADDRESS, arguments.allow_remote, SSH_ADDRESS, SSH_DANGER
    )
    sessions = number_of_sessions(arguments.sessions)
    from cockpit.serve.audit import Audit
    from cockpit.serve.keys import host_key, read_keys
    from cockpit.serve.ssh import Hall, Limits
    from cockpit.transports.local import LocalTransport

    options = options_of(arguments)
    if options.host is not None:
        raise UsageError(
            "--host: another box is not served from here", "Run `cockpit serve` on that box."
        )
    settings = agent_settings(load_config(options), options)
    keys = read_keys()
    fingerprint = host_key().get_fingerprint()
    say(*keys.problems)
    if not keys.entries:
        say(f"nobody is let in yet: cockpit serve keys add ~/.ssh/id_ed25519.pub ({keys.path})")
    hall = Hall(
        LocalTransport(settings),
        settings.name,
        Audit(complain=say),
        Limits(sessions, max(1, sessions // 4)),
        say,
    )
    return run_async(_serve(hall, address, port, fingerprint))


def number_of_sessions(text: str) -> int:
    """`--sessions` as a number. Raises UsageError."""
    if not text.isdecimal() or not 1 <= int(text) <= SESSIONS_MOST:
        raise UsageError(f"--sessions: {text!r} is no number from 1 to {SESSIONS_MOST}")
    return int(text)


async def _serve(hall: Hall, address: str, port: int, fingerprint: str) -> int:
    from cockpit.serve.ssh import end_sessions, listen

    try:
        server = await listen(hall, address, port)
    except OSError as error:
        raise CockpitError(
            f"cannot listen on {address}:{port}: {error.strerror}", "Choose another port."
        ) from None
    bound = server.sockets[0].getsockname()
    shown = shown_address(bound)
    hall.audit.write("started", address=shown)
    say(f"serving {hall.box_name} on {shown}, host key {fingerprint}")
    say(f"come in with: ssh -p {bound[1]} {bound[0]}   (one command: … status --json)")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()
    await end_sessions(hall)
    hall.audit.write("stopped")
    return 0


def say(*lines: str) -> None:
    """Words on stderr."""
    for line in lines:
        print(f"cockpit: {line}", file=sys.stderr, flush=True)


# Keys


def _keys(arguments: argparse.Namespace) -> int:
    from cockpit.serve.keys import add_key, read_keys, remove_key

    what, *names = arguments.words or ["list"]
    if what == "list" and not names:
        keys = read_keys()
        say(*keys.problems)
        rows = [(each.name, each.role, each.fingerprint) for each in keys.entries]
        if arguments.json:
            head = ("name", "role", "fingerprint")
            print_json(
                {"schema": SCHEMA, "keys": [dict(zip(head, row, strict=True)) for row in rows]}
            )
        elif rows:
            print(table(("NAME", "ROLE", "KEY"), rows, left=(0, 1, 2)))
        else:
            say(f"nobody is let in yet: cockpit serve keys add ~/.ssh/id_ed25519.pub ({keys.path})")
        return 1 if keys.problems else 0
    if what == "add" and len(names) == 1:
        entry = add_key(_public_key(names[0]), arguments.role or ROLES[0], arguments.name or "")
        say(f"{entry.name} is let in as {entry.role}: {MEANING[entry.role]}")
        return 0
    if what == "remove" and len(names) == 1:
        entry = remove_key(names[0])
        say(f"{entry.name} is not let in any more; sessions that are open go on until they end")
        return 0
    raise UsageError(
        f"cockpit serve keys {' '.join(arguments.words)}: that is not one of its forms",
        "cockpit serve keys [list | add FILE | remove NAME]",
    )


def _public_key(source: str) -> str:
    if source == "-":
        return sys.stdin.read()
    path = Path(source).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{path} cannot be read: {reason}", "Give the .pub file.") from None


# The audit log


def _audit(follow: bool, as_json: bool) -> int:
    return run_async(_show_audit(follow, as_json))


async def _show_audit(follow: bool, as_json: bool) -> int:
    from collections import deque

    from cockpit.serve.audit import AuditReader, audit_path

    reader = AuditReader()
    shown = deque(reader.read(), maxlen=None if as_json else AUDIT_SHOWN)
    for entry in shown:
        print_entry(entry, as_json)
    if not shown:
        say(f"nothing has happened yet ({audit_path()})")
    while follow:
        await asyncio.sleep(FOLLOW_EVERY_S)
        for entry in reader.read():
            print_entry(entry, as_json)
    return 0


def print_entry(entry: Mapping[str, Any], as_json: bool) -> None:
    """One entry of the audit log, as it is or in words."""
    if as_json:
        print_json(entry)
        return
    known = ("time_s", "event", "who", "role", "from", "key")
    rest = " · ".join(f"{name} {value}" for name, value in entry.items() if name not in known)
    who = f"{entry['who']} ({entry.get('role', DASH)})" if "who" in entry else DASH
    line = (
        f"{local_time(float(entry.get('time_s', 0)))}  {entry.get('event', ''):<11}  {who}  {rest}"
    )
    print("".join(letter if letter.isprintable() else "·" for letter in line), flush=True)
