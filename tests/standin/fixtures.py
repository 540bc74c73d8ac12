"""A box of NVIDIA GPUs without NVIDIA: a stand-in libnvidia-ml at the ABI, steered while it runs.

The `standin` fixture gives one such box to a test. In the test's own process `pynvml` and cockpit
find it as `libnvidia-ml.so.1`; a child process finds it with `Standin.environment`.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "src"
LIBRARY = "libnvidia-ml.so.1"
CONTROL_BYTES = 1 << 16
COUNT_ROW = struct.Struct("56sQ")

POWER_CAP, HW_SLOWDOWN, SW_THERMAL, HW_THERMAL, POWER_BRAKE = 0x4, 0x8, 0x20, 0x40, 0x80


def build_library() -> Path:
    """Compile the stand-in once per version of its sources; returns the directory that holds it."""
    sources = sorted(SOURCES.glob("*.[ch]"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"cockpit-standin-{os.getuid()}"
    directory = cache / digest
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    library = directory / LIBRARY
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            draft = directory / "draft.so"
            units = [str(source) for source in sources if source.suffix == ".c"]
            options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
            name = f"-Wl,-soname,{LIBRARY}"
            subprocess.run(
                [compiler(), *options, name, "-o", str(draft), *units, "-lm", "-lpthread"],
                check=True,
            )
            draft.rename(library)
    return directory


def compiler() -> str:
    """The C compiler of this machine. FileNotFoundError if there is none."""
    for name in ("gcc", "cc", "clang"):
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("no C compiler (gcc, cc or clang) on the PATH")


class Standin:
    """One stand-in box: what it is told, and what it was asked."""

    def __init__(self, control: Path, library: Path, gpus: int = 10) -> None:
        self.control = control
        self.library = library
        self._generation = 0
        self._now = 1000.0
        self._lines: dict[tuple[object, ...], str] = {}
        self._xids: list[str] = []
        control.write_bytes(bytes(CONTROL_BYTES))
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), CONTROL_BYTES)
        self.gpus(gpus)

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs, beside its own environment, to find this box."""
        return {"COCKPIT_STANDIN": str(self.control), "LD_LIBRARY_PATH": str(self.library)}

    def close(self) -> None:
        """Let go of everything that waits in a call, and of the control file."""
        self._lines = {key: line for key, line in self._lines.items() if key[0] != "stuck"}
        self._write()
        self._map.close()

    # The box

    def gpus(self, count: int) -> None:
        """How many GPUs there are; told before the driver is loaded."""
        self._tell("gpus", line=f"gpus {count}")

    def links(self, count: int) -> None:
        """NVLinks of each GPU; GPUs are bridged in pairs (0 and 1, 2 and 3, …)."""
        self._tell("links", line=f"links {count}")

    def delay_ms(self, milliseconds: float) -> None:
        """Every call sleeps this long first."""
        self._tell("delay", line=f"delay_us {round(milliseconds * 1000)}")

    def burn_us(self, microseconds: int) -> None:
        """Every call burns this much CPU first."""
        self._tell("burn", line=f"burn_us {microseconds}")

    def time(self, seconds: float) -> None:
        """Stop the stand-in's clock at `seconds`; counters and loads move only with it."""
        self._now = seconds
        self._tell("time", line=f"time {seconds!r}")

    def advance(self, seconds: float) -> None:
        """Move the stopped clock on."""
        self.time(self._now + seconds)

    def driver_gone(self, result: int = 9) -> None:
        """Every call answers `result` (9: driver not loaded, 1: uninitialized, 18: mismatch)."""
        self._tell("driver", line=f"driver {result}")

    def driver_back(self, version: str | None = None) -> None:
        """The driver is loaded again; whoever used it has to initialize it again."""
        if version is not None:
            self._tell("driver_version", line=f"driver_version {version}")
        self._forget("driver")

    def run_clock(self) -> None:
        """Let the stand-in's clock go with the machine's."""
        self._forget("time")

    # One GPU

    def set(self, gpu: int, **figures: float) -> None:
        """Set figures by the names of src/figures.h, in the units their names carry."""
        for name, value in figures.items():
            self._lines["set", gpu, name] = f"set {gpu} {name} {value!r}"
        self._write()

    def unset(self, gpu: int, *figures: str) -> None:
        """Let figures be what they were by default."""
        for name in figures:
            self._lines.pop(("set", gpu, name), None)
        self._write()

    def lose(self, gpu: int) -> None:
        """Every call on this GPU answers NVML_ERROR_GPU_IS_LOST."""
        self._tell("lost", gpu, line=f"lost {gpu}")

    def vanish(self, gpu: int) -> None:
        """As `lose`, and the driver lists it no more."""
        self._tell("vanished", gpu, line=f"vanished {gpu}")

    def stick(self, gpu: int) -> None:
        """Calls on this GPU do not return."""
        self._tell("stuck", gpu, line=f"stuck {gpu}")

    def restore(self, gpu: int) -> None:
        """End `lose`, `vanish` and `stick`."""
        self._forget("lost", gpu)
        self._forget("vanished", gpu)
        self._forget("stuck", gpu)

    def fail(self, gpu: int, function: str, result: int = 3) -> None:
        """One function answers `result` for this GPU (3: not supported)."""
        self._tell("fail", gpu, function, line=f"fail {gpu} {function} {result}")

    def fail_field(self, gpu: int, field: int, result: int = 3) -> None:
        """One field of nvmlDeviceGetFieldValues answers `result` for this GPU."""
        self._tell("fail_field", gpu, field, line=f"fail_field {gpu} {field} {result}")

    def overheat(self, gpu: int) -> None:
        """The hardware slows this GPU down for its heat: throttle bits, margin and counters."""
        self.set(
            gpu,
            throttle=HW_SLOWDOWN | SW_THERMAL | HW_THERMAL,
            margin=0,
            temperature=88,
            sm_clock=735,
            hw_thermal_ns=7_500_000_000,
            sw_thermal_ns=21_000_000_000,
        )

    def xid(self, gpu: int, code: int) -> None:
        """The driver tells of an XID, once."""
        self._xids.append(f"xid {gpu} {code}")
        self._write()

    def cut_link(self, gpu: int, link: int) -> None:
        """This NVLink is down."""
        self._tell("link_down", gpu, link, line=f"link_down {gpu} {link}")

    def link_errors(self, gpu: int, link: int, count: int) -> None:
        """This NVLink has replayed so often."""
        self._tell("link_errors", gpu, link, line=f"link_errors {gpu} {link} {count}")

    def mig(self, gpu: int, *slices: tuple[int, int, int, int]) -> None:
        """MIG on, with slices of (GPU instance, profile id of `mig -lgip`, start, size)."""
        self.set(gpu, mig_mode=1)
        for key in [key for key in self._lines if key[:2] == ("slice", gpu)]:
            del self._lines[key]
        for instance, profile, start, size in slices:
            line = f"slice {gpu} {instance} 0 {profile} {start} {size}"
            self._lines["slice", gpu, instance] = line
        self._write()

    def process(
        self, gpu: int, pid: int, memory_bytes: int = 1 << 30, kind: str = "c", instance: int = 0
    ) -> None:
        """A process on this GPU: kind c(ompute), g(raphics) or m(ps); a slice by its instance."""
        line = f"process {gpu} {pid} {memory_bytes} {kind} {instance} 0"
        self._tell("process", gpu, pid, line=line)

    def end_process(self, gpu: int, pid: int) -> None:
        """The process is gone from this GPU."""
        self._forget("process", gpu, pid)

    # What was asked

    def calls(self) -> dict[str, int]:
        """Calls so far, by function, of every process that uses this box."""
        try:
            data = self.control.with_name(self.control.name + ".calls").read_bytes()
        except FileNotFoundError:
            return {}
        rows = (COUNT_ROW.unpack_from(data, at) for at in range(0, len(data), COUNT_ROW.size))
        return {name.rstrip(b"\0").decode(): count for name, count in rows if count}

    def call_count(self, *, waits: bool = False) -> int:
        """Calls so far in all; the blocking wait for events only with `waits`."""
        calls = self.calls()
        return sum(calls.values()) - (0 if waits else calls.get("nvmlEventSetWait_v2", 0))

    def _tell(self, *key: object, line: str) -> None:
        self._lines[key] = line
        self._write()

    def _forget(self, *key: object) -> None:
        self._lines.pop(key, None)
        self._write()

    def _write(self) -> None:
        """The text first, then its number: the stand-in reads again when the number has changed."""
        text = "\n".join([*self._lines.values(), *self._xids]).encode() + b"\n\0"
        if len(text) > CONTROL_BYTES - 32:
            raise ValueError("the stand-in's control file is full")
        self._generation += 1
        self._map[27 : 27 + len(text)] = text
        # Written, not mapped: whoever waits in the driver for an event is woken by it.
        with self.control.open("r+b") as file:
            file.write(b"generation %015d\n" % self._generation)


@pytest.fixture(scope="session")
def standin_library() -> Path:
    """The directory with the compiled stand-in; without a C compiler its tests are skipped."""
    try:
        return build_library()
    except FileNotFoundError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def standin(
    standin_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Standin]:
    """Ten H100 PCIe whose clock stands still, in this process and for child processes."""
    # Loaded once under its soname, it is what every later dlopen of that name finds.
    library = ctypes.CDLL(str(standin_library / LIBRARY))
    box = Standin(tmp_path / "standin", standin_library)
    box.time(1000.0)
    for name, value in box.environment.items():
        monkeypatch.setenv(name, value)
    yield box
    box.driver_gone()
    for thread in threading.enumerate():
        if thread.name.startswith("nvml-xid"):
            thread.join(5)
    while library.nvmlShutdown() == 0:
        pass
    box.close()
