"""What the desk tells an agent at its start. Plain dataclasses: the agent never reads cockpit.toml."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Thresholds:
    """When a GPU stops being simply ok."""

    margin_warning_c: float = 5.0
    """Thermal margin at or below which a GPU is in warning."""
    margin_critical_c: float = 0.0
    memory_temperature_warning_c: float = 95.0
    ecc_corrected_per_hour_warning: float = 100.0
    pcie_utilization_percent: float = 20.0
    """PCIe below its maximum is told only when the GPU is at least this busy (it idles slower)."""
    orphan_memory_bytes: int = 1 << 30
    """Memory held on a GPU with no process to show for it, beyond what the driver itself takes."""
    idle_hold_s: float = 3600.0
    """A process that holds memory while the GPU does nothing for this long is told."""
    power_budget_percent: float = 95.0
    """Share of the power budget above which the box alerts."""


@dataclass(frozen=True)
class SimulateSettings:
    """The simulated box. Faults are `gpu:kind` strings, kind one of lost, hot, ecc, xid, link, slow."""

    kind: Literal["pcie", "sxm", "nvl"] = "pcie"
    gpu_count: int = 10
    seed: int = 1
    faults: tuple[str, ...] = ()
    mig: tuple[str, ...] = ()
    """Slices, as `GPU:PROFILE*COUNT` such as `8:1g.10gb*7`."""
    demo: bool = False
    """Run made-up background jobs, so that an otherwise empty box has something to show."""


@dataclass(frozen=True)
class EnvironmentSettings:
    """How the Python environments of workloads come to be."""

    offline: bool = False
    """Nothing is downloaded: an environment is there, or is built from uv's cache."""
    torch_backend: str = "auto"
    """uv's `--torch-backend`: which PyTorch index; auto goes by this machine's driver, and
    "index" takes the usual index."""
    prebuilt: Mapping[str, str] = field(default_factory=dict)
    """Family → the Python of an environment that somebody else keeps."""


@dataclass(frozen=True)
class NotifySettings:
    """Whom the agent tells that a job has ended."""

    command: str | None = None
    """Run without a shell, the job in `COCKPIT_JOB_…` and as JSON on its stdin."""
    webhook: str | None = None
    """An http or https address that gets the job as JSON by POST."""
    webhook_headers: Mapping[str, str] = field(default_factory=dict)
    when: tuple[str, ...] = ("COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "LOST")
    """The last states that are told."""
    min_seconds: float = 60.0
    """A job that ran shorter is not told."""


@dataclass(frozen=True)
class AgentSettings:
    """Everything an agent can be told."""

    name: str = "local"
    """Which agent this is: names its socket and state directory."""
    source: Literal["auto", "nvml", "simulated", "replay"] = "auto"
    interval_s: float = 1.0
    process_interval_s: float = 3.0
    idle_exit_s: float | None = 60.0
    """End after this long with no client and no job; None stays for ever (systemd)."""
    stuck_after_s: float = 3.0
    """A driver call that takes longer costs its GPU, and only that GPU."""
    history: bool = True
    thresholds: Thresholds = field(default_factory=Thresholds)
    simulate: SimulateSettings = field(default_factory=SimulateSettings)
    replay_file: str | None = None
    replay_speed: float = 1.0
    power_budget_w: float | None = None
    price_per_kwh: float | None = None
    co2_g_per_kwh: float | None = None
    currency: str = "€"
    environments: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)


@dataclass(frozen=True)
class BellSettings:
    """How the terminal in front of the person tells that a job has ended."""

    bell: bool = False
    desktop: bool = False
    """By OSC 9 or OSC 777, which the terminal turns into a notification of the desktop."""
    when: tuple[str, ...] = NotifySettings.when
    min_seconds: float = NotifySettings.min_seconds


@dataclass(frozen=True)
class TerminalSettings:
    """How the terminal looks and feels; from `[terminal]` and `[keys]` of cockpit.toml."""

    theme: str = "midnight"
    refresh_s: float = 1.0
    color: Literal["auto", "truecolor", "256", "ansi", "none"] = "auto"
    graphics: Literal["auto", "kitty", "sixel", "blocks"] = "auto"
    """How pictures are drawn; auto asks the terminal at the start."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Action name → keys, comma separated, in Textual's key names."""
    theme_directories: tuple[str, ...] = ()
    """Searched after the shipped themes, so that a user's theme of the same name wins."""
    ended: BellSettings = field(default_factory=BellSettings)


def settings_digest(settings: AgentSettings) -> str:
    """Tells agents of the same name with different settings apart.

    `idle_exit_s` is left out: how long an agent waits for company does not change what it shows.
    """
    plain = dataclasses.asdict(dataclasses.replace(settings, idle_exit_s=None))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
