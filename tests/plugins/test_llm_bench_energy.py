"""Whose energy llm-bench claims: read by pynvml from the stand-in driver, with real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standin.fixtures import Standin

PLUGIN = Path(__file__).parents[2] / "plugins" / "llm-bench"


@pytest.fixture
def meter_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(PLUGIN))
    import energy

    yield energy.meter_of
    sys.modules.pop("energy")


@pytest.fixture
def worker() -> Iterator[int]:
    """The pid of a process of job 7."""
    process = subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); input()"],
        env={**os.environ, "COCKPIT_JOB_ID": "7"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.kill()
    process.communicate()


def job_on(tmp_path: Path, gpus: list[str], **more: Any) -> Path:
    directory = tmp_path / "7"
    directory.mkdir()
    (directory / "start.json").write_text(json.dumps({"gpus": gpus, **more}))
    return directory


def uuids(nvml: Any, *indices: int) -> list[str]:
    return [nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(each)) for each in indices]


def test_it_is_the_sum_of_what_the_jobs_own_gpus_counted(
    meter_of: Any, standin: Standin, plain_pynvml: Any, tmp_path: Path, worker: int
) -> None:
    standin.process(2, worker)
    standin.process(3, worker)
    standin.process(4, os.getpid())
    meter = meter_of(job_on(tmp_path, uuids(plain_pynvml, 2, 3)))
    before = [
        plain_pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000.0
        for handle in map(plain_pynvml.nvmlDeviceGetHandleByIndex, (2, 3))
    ]
    meter.begin()
    standin.advance(10.0)
    found = meter.end()
    after = [
        plain_pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000.0
        for handle in map(plain_pynvml.nvmlDeviceGetHandleByIndex, (2, 3))
    ]
    assert found.joules == pytest.approx(sum(after) - sum(before)) and found.joules > 1000
    assert meter.where == "gpu" and all("H100" in gpu.name for gpu in meter.gpus)


def test_another_process_on_one_of_them_ends_the_claim(
    meter_of: Any, standin: Standin, plain_pynvml: Any, tmp_path: Path, worker: int
) -> None:
    standin.process(2, worker)
    meter = meter_of(job_on(tmp_path, uuids(plain_pynvml, 2)))
    meter.begin()
    standin.process(2, os.getpid())
    found = meter.end()
    assert found.joules is None and f"shared with process {os.getpid()}" in found.reason


@pytest.mark.parametrize(
    ("more", "where", "reason"),
    [
        ({"gpus": []}, "cpu", "without a GPU"),
        ({"gpus": [], "slices": ["MIG-1"]}, "slice", "no energy counter of its own"),
        ({"gpus": ["GPU-00000000-0000-0000-0000-00000000dead"]}, "simulated", "SIMULATED"),
    ],
)
def test_where_there_is_none_the_reason_is_told(
    meter_of: Any, standin: Standin, tmp_path: Path, more: dict[str, Any], where: str, reason: str
) -> None:
    meter = meter_of(job_on(tmp_path, **more))
    meter.begin()
    found = meter.end()
    assert meter.where == where and found.joules is None and reason in found.reason


def test_a_job_that_shares_its_gpus_claims_nothing(
    meter_of: Any, standin: Standin, plain_pynvml: Any, tmp_path: Path
) -> None:
    directory = job_on(tmp_path, uuids(plain_pynvml, 2))
    (directory / "spec.json").write_text(json.dumps({"request": {"shared": True}}))
    assert "shares its GPUs" in meter_of(directory).reason
