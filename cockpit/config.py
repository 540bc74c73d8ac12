"""cockpit.toml to a typed Config that knows where each of its values came from.

The layers, each over the one before: the defaults below (the shipped cockpit.toml says the same, in
words), NO_COLOR, /etc/cockpit/cockpit.toml, the user's own file, `--config`, the environment, the
command line. A Config is built only when every layer is right, so a wrong value never half applies.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cockpit import paths
from cockpit.errors import UsageError
from cockpit.settings import (
    AgentSettings,
    BellSettings,
    EnvironmentSettings,
    NotifySettings,
    SimulateSettings,
    TerminalSettings,
    Thresholds,
)
from cockpit.shipped import shipped

SYSTEM_FILE = Path("/etc/cockpit/cockpit.toml")

ENVIRONMENT: Mapping[str, str] = {
    "COCKPIT_SOURCE": "agent.source",
    "COCKPIT_THEME": "terminal.theme",
    "COCKPIT_COLOR": "terminal.color",
    "COCKPIT_REFRESH_S": "terminal.refresh_s",
}
"""Variables that set one value each. COCKPIT_CONFIG names a file, as `--config` does."""

SHIPPED = "shipped default"
COMMAND_LINE = "command line"


@dataclass(frozen=True)
class AgentSection:
    """How the GPUs are read; see cockpit.toml."""

    source: Literal["auto", "nvml", "simulated"] = "auto"
    interval_s: float = 1.0
    process_interval_s: float = 3.0
    idle_exit_s: float = 60.0
    """0 means never."""
    stuck_after_s: float = 3.0
    history: bool = True


@dataclass(frozen=True)
class TerminalSection:
    """How the terminal looks; see cockpit.toml."""

    theme: str = "midnight"
    refresh_s: float = 1.0
    color: Literal["auto", "truecolor", "256", "ansi", "none"] = "auto"
    graphics: Literal["auto", "kitty", "sixel", "blocks"] = "auto"
    theme_directories: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnergySection:
    """What the box may draw and what it costs; see cockpit.toml."""

    power_budget_w: float | None = None
    price_per_kwh: float | None = None
    co2_g_per_kwh: float | None = None
    currency: str = "€"


@dataclass(frozen=True)
class NotifySection:
    """Who is told that a job has ended, and of which; see cockpit.toml."""

    bell: bool = False
    desktop: bool = False
    command: str | None = None
    webhook: str | None = None
    webhook_headers: Mapping[str, str] = field(default_factory=dict)
    when: tuple[str, ...] = NotifySettings.when
    min_seconds: float = NotifySettings.min_seconds


@dataclass(frozen=True)
class PluginsSection:
    """Where plugins are looked for besides the shipped and the user's own; see cockpit.toml."""

    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """Every setting. `sources` has the key (`section.name`) of each value that is no default."""

    agent: AgentSection = field(default_factory=AgentSection)
    terminal: TerminalSection = field(default_factory=TerminalSection)
    energy: EnergySection = field(default_factory=EnergySection)
    thresholds: Thresholds = field(default_factory=Thresholds)
    simulate: SimulateSettings = field(default_factory=SimulateSettings)
    plugins: PluginsSection = field(default_factory=PluginsSection)
    environments: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    notify: NotifySection = field(default_factory=NotifySection)
    keys: Mapping[str, str] = field(default_factory=dict)
    """Action name → its keys, comma separated."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Name of a box → what to connect to: `[user@]host[:port]`, or a name of ssh_config."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    def provenance(self, key: str) -> str:
        """Where the value of `section.name` came from: a file and its line, a variable, …"""
        return self.sources.get(key, SHIPPED)

    def agent_settings(self) -> AgentSettings:
        """What the agent of this machine is told at its start."""
        return AgentSettings(
            source=self.agent.source,
            interval_s=self.agent.interval_s,
            process_interval_s=self.agent.process_interval_s,
            idle_exit_s=self.agent.idle_exit_s or None,
            stuck_after_s=self.agent.stuck_after_s,
            history=self.agent.history,
            thresholds=self.thresholds,
            simulate=self.simulate,
            power_budget_w=self.energy.power_budget_w,
            price_per_kwh=self.energy.price_per_kwh,
            co2_g_per_kwh=self.energy.co2_g_per_kwh,
            currency=self.energy.currency,
            environments=self.environments,
            notify=NotifySettings(
                command=self.notify.command,
                webhook=self.notify.webhook,
                webhook_headers=self.notify.webhook_headers,
                when=self.notify.when,
                min_seconds=self.notify.min_seconds,
            ),
        )

    def terminal_settings(self) -> TerminalSettings:
        """What the terminal is told."""
        folders = [str(Path(name).expanduser()) for name in self.terminal.theme_directories]
        return TerminalSettings(
            theme=self.terminal.theme,
            refresh_s=self.terminal.refresh_s,
            color=self.terminal.color,
            graphics=self.terminal.graphics,
            keys=self.keys,
            theme_directories=tuple(folders),
            ended=self.bell_settings(),
        )

    def bell_settings(self) -> BellSettings:
        """How whoever is in front of a terminal is told that a job has ended."""
        told = self.notify
        return BellSettings(told.bell, told.desktop, told.when, told.min_seconds)

    def plugin_directories(self) -> tuple[Path, ...]:
        """The configured folders of plugins, besides the shipped and the user's own."""
        return tuple(Path(name).expanduser() for name in self.plugins.paths)


@dataclass(frozen=True)
class Layer:
    """Values of one origin: key → (value, where exactly it stands)."""

    values: Mapping[str, tuple[Any, str]]
    text: bool = False
    """True when every value is text still, as in the environment."""


def user_file() -> Path:
    """The user's own configuration file; it need not exist."""
    return paths.config_dir() / "cockpit.toml"


def config_files(extra: str | Path | None = None) -> tuple[tuple[Path, bool], ...]:
    """The files that are read, in order, each with whether it must exist."""
    extra = extra or os.environ.get("COCKPIT_CONFIG") or None
    files = [(SYSTEM_FILE, False), (user_file(), False)]
    return (*files, (Path(extra).expanduser(), True)) if extra else tuple(files)


def load(extra: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """The Config of this machine, user and command line.

    `overrides` are values of the command line by key. Raises UsageError that names every wrong
    value: the file and line, the key, what it got and what it wants.
    """
    layers = _layers(extra, overrides or {})
    if not layers:
        return Config()
    from cockpit import config_check

    config, problems = config_check.build(layers)
    if problems:
        raise UsageError(
            "\n  ".join(str(problem) for problem in problems),
            f"{shipped('cockpit.toml')} explains every key.",
        )
    return config


def _layers(extra: str | Path | None, overrides: Mapping[str, Any]) -> list[Layer]:
    layers = []
    if os.environ.get("NO_COLOR"):
        layers.append(Layer({"terminal.color": ("none", "environment NO_COLOR")}))
    for path, required in config_files(extra):
        if required or path.exists():
            from cockpit import config_check

            layers.append(config_check.read_layer(path))
    environment = {
        key: (os.environ[name], f"environment {name}")
        for name, key in ENVIRONMENT.items()
        if os.environ.get(name)
    }
    if environment:
        layers.append(Layer(environment, text=True))
    if overrides:
        layers.append(Layer({key: (value, COMMAND_LINE) for key, value in overrides.items()}))
    return layers


def sections() -> Sequence[str]:
    """The names of the tables of cockpit.toml."""
    return [name for name in Config.__dataclass_fields__ if name != "sources"]
