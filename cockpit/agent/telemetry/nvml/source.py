"""The box as NVML tells of it: the Source of a machine with NVIDIA GPUs."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cockpit import __version__
from cockpit.agent.telemetry.nvml import gpm
from cockpit.agent.telemetry.nvml.connection import (
    Connection,
    Finder,
    RollCall,
    problem_and_advice,
)
from cockpit.agent.telemetry.nvml.device import (
    UNKNOWN_UUID,
    Device,
    Neighbours,
    Surroundings,
)
from cockpit.agent.telemetry.nvml.library import Library, error_name
from cockpit.agent.telemetry.nvml.links import topology
from cockpit.agent.telemetry.nvml.places import Places
from cockpit.agent.telemetry.nvml.rota import Rota
from cockpit.agent.telemetry.nvml.watchdog import Watchdog
from cockpit.agent.telemetry.nvml.xid import XidWatch, handle_address
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.agent.telemetry.source import Sample
from cockpit.model import BoxInfo, Event, Gpu, Severity
from cockpit.settings import AgentSettings

_RETRY_S = 3.0
"""Between two attempts to come to a driver that is away."""
_ROLL_CALL_S = 10.0
"""How often the driver is asked how many GPUs it has: one can vanish without a word."""
_PERIODS_S: Mapping[str, float] = {
    "thermal_margin_c": 2.0,
    "memory_clock_mhz": 5.0,
    "mig_enabled": 5.0,
    "pcie_generation": 5.0,
    "pcie_width": 10.0,
    "nvlinks": 10.0,
    "graphics_processes": 10.0,
    "mps_processes": 10.0,
}


class NvmlSource:
    """Reads every GPU once a pass, in a thread under watch; see Source for the contract."""

    def __init__(
        self,
        settings: AgentSettings,
        processes: ProcessTable,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._table = settings, processes
        self._clock, self._wall, self._rest = clock, wall, rest
        self._watchdog = Watchdog(settings.stuck_after_s)
        self._connection: Connection | None = None
        self._library: Library | None = None
        self._previous: Library | None = None
        """The library whose driver went away, until it is shut down."""
        self._devices: list[Device] = []
        self._rota: Rota | None = None
        self._xids: XidWatch | None = None
        self._events: deque[Event] = deque()
        self._places = Places()
        self._code: int | None = None
        self._tried_s = self._called_roll_s = float("-inf")
        self._box = BoxInfo(
            name="",
            source="nvml",
            driver_version=None,
            gpu_count=0,
            agent_version=__version__,
            hostname=socket.gethostname(),
            boot_id=_boot_id(),
            power_budget_w=settings.power_budget_w,
            price_per_kwh=settings.price_per_kwh,
            currency=settings.currency,
        )

    def open(self) -> BoxInfo:
        """Find the GPUs; see Source."""
        self._connect()
        if self._devices:
            # Activity is the difference of two samples: so the first pass already has it.
            self._rest(gpm.CLOSEST_S)
        return self._box

    def box(self) -> BoxInfo:
        """The box as last seen; see Source."""
        return self._box

    def sample(self) -> Sample:
        """Read every GPU once; see Source."""
        if self._library is None:
            self._try_again()
        else:
            self._pass()
        events = tuple(self._events.popleft() for _ in range(len(self._events)))
        self._take_in_xids(events)
        gpus = tuple([self._gpu(device) for device in self._devices])
        return Sample(self._wall(), gpus, events)

    def close(self) -> None:
        """Let the driver go; see Source."""
        self._stop_watching()
        self._watchdog.close()
        library, self._library = self._library, None
        # With a call that does not return, the driver is best left as it is.
        if library is not None and not any(device.busy for device in self._devices):
            for device in self._devices:
                device.close()
            library.function("nvmlShutdown")()

    # A pass

    def _pass(self) -> None:
        now_s = self._clock()
        if self._rota is not None:
            self._rota.plan(now_s, spare=self._call_roll(now_s))
        self._watchdog.run(self._devices)
        code = self._driver_code()
        if code is not None:
            self._lose_driver(code)
        elif self._refresh_box() and self._library is not None:
            self._stop_watching()
            self._watch_xids(self._library)

    def _call_roll(self, now_s: float) -> int:
        """Now and then see which GPUs the driver still lists; returns the calls that took."""
        library = self._library
        busy = any(device.busy for device in self._devices)
        if library is None or busy or now_s - self._called_roll_s < _ROLL_CALL_S:
            return 0
        self._called_roll_s = now_s
        roll = RollCall(library, self._devices)
        self._watchdog.run([roll])
        return roll.steps

    def _take_in_xids(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind != "xid" or event.gpu_index is None:
                continue
            device = self._devices[event.gpu_index]
            number = int(event.data["xid"])
            device.last_xid = (number, event.time_s)
            device.gpu = replace(device.gpu, last_xid=number, last_xid_s=event.time_s)

    def _gpu(self, device: Device) -> Gpu:
        if self._library is None:
            return device.unreadable(_reason(self._code))
        if not device.busy:
            return device.gpu
        if device.stuck_since_s is None:
            return device.unreadable("not read yet: the driver is slow to answer")
        quiet_s = max(0.0, time.monotonic() - device.stuck_since_s)
        return device.unreadable(f"no answer from the driver for {quiet_s:.0f} s")

    # The driver

    def _try_again(self) -> None:
        if self._clock() - self._tried_s >= _RETRY_S:
            self._connect()

    def _connect(self) -> None:
        self._tried_s = self._clock()
        if self._connection is None:
            self._connection = self._new_connection()
        self._watchdog.run([self._connection])
        connection = self._connection
        if connection.busy:
            self._set_problem(None)
            return
        self._connection = None
        if connection.library is None:
            self._code = connection.code
            self._set_problem(connection.code)
        else:
            self._begin(connection, connection.library)

    def _begin(self, connection: Connection, library: Library) -> None:
        was_away = self._box.problem is not None and bool(self._devices)
        finders = [Finder(library, place) for place in range(connection.count)]
        self._watchdog.run(finders)
        self._devices = self._make_devices(finders, library)
        self._watchdog.run(self._devices)
        code = self._driver_code()
        if code is not None:
            self._code, self._previous = code, library
            self._set_problem(code)
            return
        self._library, self._code = library, None
        self._box = replace(
            self._box,
            driver_version=connection.driver_version,
            nvml_version=connection.nvml_version,
            cuda_version=connection.cuda_version,
            problem=None if self._devices else "The NVIDIA driver finds no GPU",
            advice=None if self._devices else "See lspci and the kernel log (dmesg).",
        )
        self._refresh_box(anew=True)
        # The second turn finds out the ways between the GPUs, now that each is known.
        self._watchdog.run(self._devices)
        self._refresh_box()
        self._plan_readings()
        self._watch_xids(library)
        if was_away:
            text = f"The NVIDIA driver is back (version {connection.driver_version})"
            self._tell_driver("info", text, "")

    def _plan_readings(self) -> None:
        self._called_roll_s = now_s = self._clock()
        periods = {**_PERIODS_S, "processes": self._settings.process_interval_s}
        self._rota = Rota(self._devices, periods, now_s, self._settings.interval_s / 2)

    def _driver_code(self) -> int | None:
        """What NVML said, if a GPU was asked and the driver itself was gone."""
        codes = [each.driver_code for each in self._devices if each.driver_code is not None]
        return codes[0] if codes else None

    def _make_devices(self, finders: Sequence[Finder], library: Library) -> list[Device]:
        shared = Surroundings(library, self._table, self._clock, self._wall)
        before = {device.uuid: device for device in self._devices}
        found = {
            finder.uuid or f"{UNKNOWN_UUID}{place}": finder for place, finder in enumerate(finders)
        }
        devices = []
        for index, uuid in self._places.assign(list(found)):
            finder = found.get(uuid)
            device = Device(shared, index, uuid, None if finder is None else finder.handle)
            if uuid in before:
                device.carry_over(before[uuid])
            if device.handle is None and not (finder is not None and finder.busy):
                device.lose("NVML_ERROR_GPU_IS_LOST")
            devices.append(device)
        return devices

    def _lose_driver(self, code: int) -> None:
        self._code, self._previous = code, self._library
        self._library = self._rota = None
        self._stop_watching()
        self._tried_s = self._clock()
        self._set_problem(code)
        self._tell_driver("critical", self._box.problem or "", self._box.advice or "")

    def _new_connection(self) -> Connection:
        previous, self._previous = self._previous, None
        if any(device.busy for device in self._devices):
            # A call that has not returned is still inside that library.
            previous = None
        watched = self._xids is not None and self._xids.alive
        return Connection(previous, unload=not watched)

    def _watch_xids(self, library: Library) -> None:
        gpus = {
            handle_address(device.handle): (device.index, device.uuid)
            for device in self._devices
            if device.handle is not None
        }
        self._xids = XidWatch(library, gpus, self._events.append)
        self._watchdog.run([self._xids])
        self._xids.start()

    def _stop_watching(self) -> None:
        if self._xids is not None:
            self._xids.stop()

    def _tell_driver(self, severity: Severity, text: str, advice: str) -> None:
        time_s = self._wall()
        self._events.append(Event(0, time_s, "driver", severity, text, advice))

    def _set_problem(self, code: int | None) -> None:
        problem, advice = problem_and_advice(code)
        if problem != self._box.problem:
            self._box = replace(
                self._box, problem=problem, advice=advice, revision=self._box.revision + 1
            )

    # The box

    def _refresh_box(self, *, anew: bool = False) -> bool:
        """Grow the revision if a GPU has told something new of itself or of its ways to others.

        Returns whether a GPU was met for the first time, or again.
        """
        news = [device for device in self._devices if device.news and not device.busy]
        if not news and not anew:
            return False
        met = any(not device.surveyed for device in news)
        for device in news:
            device.news = False
            if not device.surveyed:
                device.neighbours = self._neighbours(device)
        self._places.learn(self._devices)
        self._box = replace(
            self._box,
            gpu_count=len(self._devices),
            gpus=tuple(device.info for device in self._devices),
            topology=self._topology(),
            revision=self._box.revision + 1,
        )
        return met

    def _neighbours(self, device: Device) -> Neighbours:
        others = [other for other in self._devices if other.handle is not None]
        return Neighbours(
            places={other.info.pci_bus_id: other.index for other in others},
            handles={o.index: o.handle for o in others if o.index > device.index},
        )

    def _topology(self) -> tuple[tuple[str, ...], ...]:
        ancestors = {
            (device.index, other): word
            for device in self._devices
            for other, word in device.ancestors.items()
        }
        return topology([device.nvlinks for device in self._devices], ancestors)


def _reason(code: int | None) -> str:
    return "no answer from the driver" if code is None else error_name(code)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
