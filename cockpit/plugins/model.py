"""What a plugin is, as read from its `plugin.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cockpit.model import FamilyMember, ServiceWish
from cockpit.parameters import Parameter

Origin = Literal["package", "shipped", "yours", "configured"]
"""Where a plugin is from; of two of one name, the one whose origin stands later here wins."""


@dataclass(frozen=True)
class GpuNeed:
    """How many GPUs a plugin can use."""

    minimum: int = 0
    default: int = 1
    maximum: int = 1

    @property
    def bounds(self) -> str:
        """`2`, or `0 to 1`."""
        if self.minimum == self.maximum:
            return str(self.minimum)
        return f"{self.minimum} to {self.maximum}"

    @property
    def wants(self) -> str:
        """The bounds with their noun: `1 GPU`, `0 to 1 GPUs`."""
        return f"{self.bounds} GPU" + ("" if self.bounds == "1" else "s")


@dataclass(frozen=True)
class Preset:
    """A choice with a name: some of the parameters, and how many GPUs."""

    name: str
    title: str
    summary: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Those that it sets; the others keep their defaults."""
    gpus: int | None = None
    """None leaves it to the plugin's default."""


@dataclass(frozen=True)
class Bench:
    """What `cockpit bench` runs; it reports a table called `bench`."""

    command: tuple[str, ...]
    requires: tuple[str, ...] = ()
    """What it needs besides the plugin's own requirements."""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plugin:
    """A workload that can be launched."""

    name: str
    title: str
    summary: str
    kind: str
    command: tuple[str, ...]
    directory: Path
    requires: tuple[str, ...] = ()
    environment: str | None = None
    """The family whose environment it shares; None for one of its own requirements."""
    family: tuple[FamilyMember, ...] = ()
    """Who shares it, itself included; known of a plugin that was found, not only loaded."""
    gpus: GpuNeed = GpuNeed()
    parameters: tuple[Parameter, ...] = ()
    presets: tuple[Preset, ...] = ()
    views: tuple[Mapping[str, Any], ...] = ()
    service: ServiceWish | None = None
    """Of a plugin that serves until it is stopped."""
    check: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of a run that is short, for `cockpit plugins check`."""
    bench: Bench | None = None
    origin: Origin | None = None
    """None for one that was read by its folder."""
    package: str = ""
    """Name and version of the Python package that it comes with."""


@dataclass(frozen=True)
class Place:
    """A folder with a plugin, and who put it there."""

    name: str
    directory: Path
    origin: Origin
    package: str = ""
    """Name and version of the Python package that it comes with."""
    problem: str = ""
    """Why there is no such folder."""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin folder that cannot be used, and why."""

    name: str
    directory: Path
    reason: str


@dataclass(frozen=True)
class Found:
    """Everything there is, by name; a broken one hurts no other."""

    plugins: tuple[Plugin, ...]
    broken: tuple[BrokenPlugin, ...]
    hidden: tuple[Place, ...] = ()
    """Those for which another one of the same name is taken."""
