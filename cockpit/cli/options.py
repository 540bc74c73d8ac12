"""The options that may stand before or after any command: which box, which configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cockpit.errors import UsageError

SIMULATED_KINDS = ("pcie", "sxm", "nvl")

GLOBAL_OPTIONS: tuple[tuple[str, str, str], ...] = (
    ("--host", "NAME", "a box over SSH, or several: a,b; `cockpit hosts` has them"),
    ("--simulate", "[KIND]", "a simulated box: pcie (the default), sxm or nvl"),
    ("--demo", "", "a simulated box with made-up tenants on it"),
    ("--replay", "FILE", "a recording made with `cockpit record`"),
    ("--speed", "X", "with --replay: how many times faster"),
    ("--config", "FILE", "read this configuration file too, after the usual ones"),
)
"""Option, its value and its summary. No plugin parameter may take one of these names."""


@dataclass(frozen=True)
class GlobalOptions:
    """What the person said about the box; None where nothing was said."""

    host: str | None = None
    simulate: str | None = None
    demo: bool = False
    replay: str | None = None
    speed: float | None = None
    config: str | None = None


def take_global_options(argv: Sequence[str]) -> tuple[GlobalOptions, list[str]]:
    """Split a command line into the global options and the rest, in order.

    Nothing after `--` is looked at: that is another program's command line. `--speed` is taken
    only beside `--replay`, so that a plugin may have a parameter called speed.
    """
    ours, theirs = _until_double_dash(argv)
    options, rest = GlobalOptions(), []
    replaying = any(word == "--replay" or word.startswith("--replay=") for word in ours)
    words = iter(range(len(ours)))
    for position in words:
        name, equals, value = ours[position].partition("=")
        following = ours[position + 1] if position + 1 < len(ours) else None
        if name == "--demo" and not equals:
            options = replace(options, demo=True)
        elif name == "--simulate":
            if not equals and following in SIMULATED_KINDS:
                value = ours[next(words)]
            options = replace(options, simulate=_kind(value or "pcie"))
        elif name in ("--host", "--replay", "--config") or (name == "--speed" and replaying):
            if not equals:
                if following is None:
                    raise UsageError(f"{name} needs a value after it")
                value = ours[next(words)]
            options = _with_value(options, name, value)
        else:
            rest.append(ours[position])
    return _consistent(options), rest + theirs


def _until_double_dash(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    end = list(argv).index("--") if "--" in argv else len(argv)
    return list(argv[:end]), list(argv[end:])


def _kind(value: str) -> str:
    if value not in SIMULATED_KINDS:
        raise UsageError(f"--simulate: there is no {value!r} box", "Use pcie, sxm or nvl.")
    return value


def _with_value(options: GlobalOptions, name: str, value: str) -> GlobalOptions:
    if not value:
        raise UsageError(f"{name} needs a value")
    if name == "--host":
        return replace(options, host=value)
    if name == "--replay":
        return replace(options, replay=value)
    if name == "--config":
        return replace(options, config=value)
    try:
        speed = float(value)
    except ValueError:
        speed = 0.0
    if not 0.01 <= speed <= 10_000:
        raise UsageError(f"--speed: {value!r} is not a number from 0.01 to 10000")
    return replace(options, speed=speed)


def _consistent(options: GlobalOptions) -> GlobalOptions:
    if options.replay and (options.simulate or options.demo):
        raise UsageError(
            "--replay shows a recording, --simulate and --demo a simulated box", "Choose one."
        )
    if options.replay and options.host:
        raise UsageError(
            "--replay shows a recording of this machine, --host another", "Choose one."
        )
    return options
