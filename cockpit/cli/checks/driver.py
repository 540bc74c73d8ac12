"""Checks of the NVIDIA hardware, its driver and what stands around it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cockpit.cli.checks import Check

PROBE_TIMEOUT_S = 15.0
NVIDIA_VENDOR, DISPLAY_CLASS = "0x10de", "0x03"

PROBE = """
import json
def ask(call, *arguments):
    try:
        value = call(*arguments)
    except pynvml.NVMLError as error:
        return {"error": str(error), "number": error.value}
    return {"value": value.decode() if isinstance(value, bytes) else value}
import pynvml
answer = {"init": ask(pynvml.nvmlInit)}
if "value" in answer["init"]:
    answer["driver"] = ask(pynvml.nvmlSystemGetDriverVersion)
    answer["count"] = ask(pynvml.nvmlDeviceGetCount)
    gpus = answer["gpus"] = []
    for index in range(answer["count"].get("value", 0)):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        except pynvml.NVMLError as error:
            gpus.append({"handle": {"error": str(error), "number": error.value}})
            continue
        gpus.append({
            "persistence": ask(pynvml.nvmlDeviceGetPersistenceMode, handle),
            "mig": ask(pynvml.nvmlDeviceGetMigMode, handle),
        })
print(json.dumps(answer))
"""
"""Runs in a process of its own: a driver that hangs must not take the doctor with it."""

NOT_SUPPORTED = 3
INIT_ADVICE = {
    4: "You may not use the GPUs: see the permissions of /dev/nvidia*.",
    9: "The kernel module is not loaded: `sudo modprobe nvidia`; then see `dmesg | grep -i nvrm`.",
    12: "Install the driver of this machine's GPUs, or give the container the driver's libraries.",
    15: "The GPU has fallen off the bus: see `dmesg | grep -i xid`; a restart brings it back.",
    18: "The driver was updated while loaded: restart the machine, or reload its modules.",
}
"""What to do about NVML's errors at its start, by number."""


def check_driver() -> Iterator[Check]:
    """Hardware, library, driver, device files and GPU modes, as far as each can be reached."""
    cards = nvidia_cards(Path("/sys/bus/pci/devices"))
    module = Path("/proc/driver/nvidia/version").exists()
    probe = run_probe()
    code = probe.get("init", {}).get("number")
    if not cards and code == 12 and not module:
        yield Check(
            "NVIDIA GPU",
            "warning",
            "there is none on this machine, so cockpit shows a SIMULATED box",
        )
        return
    yield Check("NVIDIA GPU", "ok", f"{cards} on the PCI bus" if cards else "no PCI bus to look at")
    yield from driver_checks(probe)
    yield device_files(Path("/dev"), needed="error" in probe.get("init", {"error": ""}))
    yield _nvidia_smi()


def nvidia_cards(devices: Path) -> int:
    """How many NVIDIA display or 3D controllers the PCI bus has."""
    count = 0
    for device in devices.glob("*"):
        try:
            vendor = (device / "vendor").read_text().strip()
            kind = (device / "class").read_text().strip()
        except OSError:
            continue
        count += vendor == NVIDIA_VENDOR and kind.startswith(DISPLAY_CLASS)
    return count


def run_probe() -> dict[str, Any]:
    """NVML's answers from another process; `problem` says why there are none."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
        return dict(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return {"problem": f"the driver did not answer in {PROBE_TIMEOUT_S:.0f} s"}
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"problem": f"the driver could not be asked: {last}"}


def driver_checks(probe: dict[str, Any]) -> Iterator[Check]:
    """What the probe's answers mean."""
    if "problem" in probe:
        yield Check("NVML", "problem", probe["problem"], "See `dmesg | grep -i nvrm`.")
        return
    init = probe["init"]
    if "error" in init:
        advice = INIT_ADVICE.get(init["number"], "See `dmesg | grep -i nvrm`.")
        yield Check("NVML", "problem", init["error"], advice)
        return
    count = probe["count"].get("value", 0)
    text = f"driver {probe['driver'].get('value', '—')} answers, {count} GPUs"
    if count:
        yield Check("NVML", "ok", text)
    else:
        yield Check("NVML", "problem", text, "See `nvidia-smi -L` and `dmesg | grep -i nvrm`.")
    lost = [index for index, gpu in enumerate(probe["gpus"]) if "handle" in gpu]
    for index in lost:
        yield Check(
            f"GPU {index}",
            "problem",
            probe["gpus"][index]["handle"]["error"],
            "See `dmesg | grep -i xid`; a reset or a restart may bring it back.",
        )
    answering = [gpu for gpu in probe["gpus"] if "handle" not in gpu]
    if answering:
        yield _persistence(answering)
        yield _mig(answering)


def _persistence(gpus: list[dict[str, Any]]) -> Check:
    off = sum(gpu["persistence"].get("value") == 0 for gpu in gpus)
    if not off:
        return Check("Persistence mode", "ok", "on, or not needed")
    return Check(
        "Persistence mode",
        "warning",
        f"off for {off} of {len(gpus)} GPUs: the driver unloads when nobody uses them, so counters "
        "start again and the first use is slow",
        "`sudo systemctl enable --now nvidia-persistenced`, or `sudo nvidia-smi -pm 1`.",
    )


def _mig(gpus: list[dict[str, Any]]) -> Check:
    modes = [gpu["mig"] for gpu in gpus]
    failed = [mode["error"] for mode in modes if mode.get("number", NOT_SUPPORTED) != NOT_SUPPORTED]
    if failed:
        return Check("MIG", "warning", f"the mode of {len(failed)} GPUs is unreadable: {failed[0]}")
    able = [mode["value"] for mode in modes if "value" in mode]
    enabled = sum(mode[0] == 1 for mode in able)
    return Check("MIG", "ok", f"{len(able)} of {len(gpus)} GPUs can, {enabled} have it on")


def device_files(directory: Path, needed: bool) -> Check:
    """Whether this user may open the device files; without `needed` there may be none (WSL)."""
    files = [directory / "nvidiactl", *sorted(directory.glob("nvidia[0-9]*"))]
    present = [path for path in files if path.exists()]
    if not present and not needed:
        return Check("Device files", "ok", f"none in {directory}, and the driver answers without")
    if not present:
        return Check(
            "Device files",
            "problem",
            f"there is no {directory}/nvidiactl",
            "`sudo nvidia-modprobe -u -c=0` makes them; a container needs `--gpus all`.",
        )
    closed = [path.name for path in present if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        return Check(
            "Device files",
            "problem",
            f"you may not read and write {', '.join(closed)}",
            "Join the group that owns them (`ls -l /dev/nvidia*`), often video or render.",
        )
    return Check("Device files", "ok", f"{len(present)} in {directory}, readable and writable")


def _nvidia_smi() -> Check:
    found = shutil.which("nvidia-smi")
    if found:
        return Check("nvidia-smi", "ok", found)
    return Check("nvidia-smi", "warning", "not on the PATH", "It comes with the driver's tools.")
