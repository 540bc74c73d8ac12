"""What a workload needs of its environment, and the name that this gives the environment."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Need:
    """An environment as a workload asks for it."""

    plugin: str
    requires: tuple[str, ...] = ()
    family: str | None = None
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Plugin → what it requires, of the whole family with this plugin in it; empty without one."""
    lock: str | None = None
    """The path of a lock that fixes every version."""
    torch_backend: str = "auto"

    @property
    def everything(self) -> tuple[str, ...]:
        """What all who share it require, each once."""
        texts = [self.requires, *(self.members[name] for name in sorted(self.members))]
        return tuple(dict.fromkeys(each for requires in texts for each in requires))

    def alone(self) -> Need:
        """The same without the family."""
        return Need(self.plugin, self.requires, lock=self.lock, torch_backend=self.torch_backend)

    def shared_by(self, plugins: frozenset[str]) -> Need:
        """The same with only these members of the family."""
        members = {name: self.members[name] for name in self.members if name in plugins}
        return Need(self.plugin, self.requires, self.family, members, None, self.torch_backend)


def key(need: Need) -> str:
    """Names one environment: the same wishes on the same machine give the same one."""
    if need.lock is not None:
        wishes = [Path(need.lock).read_text()]
    else:
        wishes = sorted({re.sub(r"\s+", "", each) for each in need.everything})
    parts = [
        *wishes,
        need.torch_backend,
        # A home directory may be shared between machines with and without GPUs.
        str(NVIDIA_DRIVER.exists()),
        sys.version,
        os.uname().machine,
        os.path.realpath(sys.executable),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
