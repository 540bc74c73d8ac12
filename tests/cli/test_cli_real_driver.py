"""The commands against the real NVML code, on ten stand-in GPUs that fail one after another."""

import json
import re
import time
from collections.abc import Iterator

import pytest


@pytest.fixture
def real(cockpit, standin, tmp_path) -> Iterator:
    """Run a command on the stand-in's GPUs; their agent ends with the test."""
    config = tmp_path / "nvml.toml"
    config.write_text('[agent]\nsource = "nvml"\ninterval_s = 0.1\n')

    def run(*words: str):
        return cockpit("--config", str(config), *words)

    yield run
    run("agent", "stop")


def until(what, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_each_trouble_is_named_in_status_events_and_metrics(real, standin) -> None:
    well = real("status", "--json")
    assert well.code == 0
    assert {gpu["state"] for gpu in json.loads(well.out)["gpus"]} == {"ok"}

    standin.lose(3)
    standin.overheat(2)
    standin.xid(5, 48)

    def told() -> str:
        found = real("status")
        named = re.findall(r"^(?:critical|warning) +.*GPU (\d)", found.out, re.MULTILINE)
        return found.out if found.code == 1 and {"2", "3", "5"} <= set(named) else ""

    page = until(told)
    assert "SIMULATED" not in page
    assert re.search(r"^  3  +— / .*lost$", page, re.MULTILINE)
    assert re.search(r"^  2  .*hw thermal", page, re.MULTILINE)
    assert "XID 48" in page

    events = json.loads(real("events", "--json").out)["events"]
    assert {2, 3, 5} <= {event["gpu_index"] for event in events}
    assert any(event["kind"] == "xid" and event["gpu_index"] == 5 for event in events)

    metrics = real("metrics").out
    assert 'gpu="3"' not in metrics and 'cockpit_gpus{state="lost"' in metrics
    assert re.search(r'^DCGM_FI_DEV_XID_ERRORS\{gpu="5".* 48$', metrics, re.MULTILINE)


def test_the_doctor_asks_the_driver_itself(real) -> None:
    checks = {check["name"]: check for check in json.loads(real("doctor", "--json").out)["checks"]}
    assert checks["NVML"]["level"] == "ok" and "10 GPUs" in checks["NVML"]["text"]
    assert "source nvml, 10 GPUs" in checks["Agent"]["text"]
