"""Where a command of cockpit listens: this machine alone, unless somebody meant otherwise."""

from __future__ import annotations

import ipaddress

from cockpit.errors import UsageError


def parse_address(text: str, allow_remote: bool, example: str, danger: str) -> tuple[str, int]:
    """`127.0.0.1:9400`, `[::1]:9400` or `:9400` as address and port.

    `danger` ends the sentence that tells what it would mean to be reached from other machines.
    Raises UsageError for what is no address, and for one beyond this machine unless allowed.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise UsageError(
            f"--listen: {text!r} is not ADDRESS:PORT", f"Write an IP address: {example}."
        )
    if not address.is_loopback and not allow_remote:
        raise UsageError(
            f"--listen: {host} is reached from other machines, and anyone there could {danger}",
            "Listen on 127.0.0.1, or add --allow-remote if that is meant.",
        )
    return str(address), number


def shown_address(bound: tuple[object, ...]) -> str:
    """An address as `getsockname` has it, as one writes it."""
    return f"[{bound[0]}]:{bound[1]}" if ":" in str(bound[0]) else f"{bound[0]}:{bound[1]}"
