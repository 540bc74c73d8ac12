"""`cockpit serve web`: the terminal app in a browser."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import signal
from typing import TYPE_CHECKING

from cockpit.cli.connect import agent_settings, load_config, options_of, run_async
from cockpit.cli.listening import parse_address, shown_address
from cockpit.cli.serve import number_of_sessions, say
from cockpit.errors import CockpitError, UsageError
from cockpit.roles import MEANING, Person, Role

if TYPE_CHECKING:
    from cockpit.serve.web import Page

ADDRESS = "127.0.0.1:8023"
DANGER = "read the link on its way and come in, as the page has no encryption"


def serve_web(arguments: argparse.Namespace) -> int:
    """Serve the page until the program is ended."""
    address, port = parse_address(
        arguments.listen or ADDRESS, arguments.allow_remote, ADDRESS, DANGER
    )
    options = options_of(arguments)
    if options.host is not None:
        raise UsageError(
            "--host: another box is not served from here", "Run `cockpit serve` on that box."
        )
    try:
        from cockpit.serve.web import Page
    except ImportError as error:
        raise CockpitError(
            f"`cockpit serve web` needs the package textual-serve ({error})",
            "Install it in the environment of cockpit: pip install textual-serve",
        ) from None
    from cockpit.serve.audit import Audit
    from cockpit.transports.local import LocalTransport

    settings = agent_settings(load_config(options), options)
    role: Role = arguments.role or "operator"
    page = Page(
        LocalTransport(settings),
        settings.name,
        Person(f"{getpass.getuser()} in a browser", role),
        Audit(complain=say),
        address,
        number_of_sessions(arguments.sessions),
    )
    return run_async(_serve(page, address, port))


async def _serve(page: Page, address: str, port: int) -> int:
    from aiohttp.web import AppRunner, TCPSite

    from cockpit.serve.web import WebServer

    server = WebServer(page, address, port)
    runner = AppRunner(await server.application(), access_log=None)
    await runner.setup()
    try:
        await TCPSite(runner, address, port).start()
    except OSError as error:
        await runner.cleanup()
        raise CockpitError(
            f"cannot listen on {address}:{port}: {error.strerror}", "Choose another port."
        ) from None
    bound = shown_address(runner.addresses[0])
    page.audit.write("started", address=bound)
    role = page.person.role
    say(f"serving {page.box_name}; whoever has this link is {role} here: {MEANING[role]}")
    say(f"http://{bound}/?key={page.secret}")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()
    page.audit.write("stopped")
    return 0
