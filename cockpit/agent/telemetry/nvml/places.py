"""Which index each GPU has: its place on the screen, kept for as long as the agent lives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cockpit.agent.telemetry.nvml.device import UNKNOWN_UUID, Device


class Places:
    """UUID → index. NVML counts anew when a GPU is gone after a reload of the driver; we do not."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}

    def assign(self, found: Iterable[str]) -> list[tuple[int, str]]:
        """(index, UUID) of every GPU ever met, by index, now that the driver lists `found`.

        A GPU that is lost to begin with does not tell its UUID; it goes by one that begins with
        UNKNOWN_UUID.
        """
        named = [uuid for uuid in found if not uuid.startswith(UNKNOWN_UUID)]
        nameless = [uuid for uuid in found if uuid.startswith(UNKNOWN_UUID)]
        # One that had no name and now has one keeps its place.
        before = [uuid for uuid in self._indices if uuid.startswith(UNKNOWN_UUID)]
        new = [uuid for uuid in named if uuid not in self._indices]
        for old, uuid in zip([each for each in before if each not in nameless], new, strict=False):
            self._indices[uuid] = self._indices.pop(old)
        # Of those that have no name, the ones missed explain as many.
        missed = [uuid for uuid in self._indices if uuid not in named and uuid not in nameless]
        explained = set(nameless[: len(missed)])
        for uuid in found:
            if uuid not in explained:
                self._indices.setdefault(uuid, len(self._indices))
        return sorted((index, uuid) for uuid, index in self._indices.items())

    def learn(self, devices: Sequence[Device]) -> None:
        """Take the UUIDs that the GPUs have told since."""
        self._indices = {device.uuid: device.index for device in devices}
