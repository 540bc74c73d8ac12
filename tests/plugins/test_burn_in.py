"""The CUDA C++ example, on the processor: it finds what is wrong, and says what it could not test."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from workload_run import REPOSITORY, ended, run, start

PLUGIN = REPOSITORY / "plugins" / "burn-in"
COMMAND = ("bash", "workload.sh")

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="there is no C++ compiler (g++) to compile with"
)
needs_nvcc = pytest.mark.skipif(
    shutil.which("nvcc") is None, reason="there is no nvcc to compile with"
)
no_gpu = pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU here")

INSPECT = r"""
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>
#define private public
#include "cpu_device.h"

int main() {
    CpuDevice device(3 << 20);
    const Pattern patterns[] = {{0, 0}, {0x55555555u, 0}, {0, 7}};
    for (const Pattern pattern : patterns)
        for (const Pattern written : {pattern, pattern.inverse()}) {
            Faults clean, spoilt;
            device.fill(written);
            device.verify(written, clean);
            device.memory_[1234] ^= 1u << 17;
            device.memory_[700000] ^= 1u;
            device.verify(written, spoilt);
            std::printf("%llu %llu %llu\n", (unsigned long long)clean.words,
                        (unsigned long long)spoilt.words, (unsigned long long)spoilt.first);
        }
    double flops = 0;
    uint64_t right = 0, wrong = 0;
    device.fma(flops, right);
    device.expected_ = std::nextafter(device.expected_, 2.0f * device.expected_);
    device.fma(flops, wrong);
    std::printf("%llu %d\n", (unsigned long long)right, wrong == 8u * device.threads_);
}
"""


@needs_compiler
def test_one_flipped_bit_and_a_last_bit_of_a_sum_are_found(tmp_path: Path) -> None:
    (tmp_path / "inspect.cpp").write_text(INSPECT)
    options = ["-O2", "-std=c++17", "-march=native", "-pthread", f"-I{PLUGIN}"]
    subprocess.run(
        ["g++", *options, "-o", tmp_path / "inspect", tmp_path / "inspect.cpp"], check=True
    )
    done = subprocess.run([tmp_path / "inspect"], capture_output=True, text=True, check=True)
    *patterns, arithmetic = done.stdout.splitlines()
    assert patterns == 6 * ["0 2 1234"]
    assert arithmetic == "0 1"


@needs_compiler
def test_the_processor_is_tested_in_every_way_and_found_well(tmp_path: Path) -> None:
    done = run("burn-in", COMMAND, tmp_path / "job", minutes=0.01, mebibytes=12, device="cpu")
    assert done.code == 0, done.log
    table = done.table("cards")
    assert table["columns"][2:4] == ["test", "rate"]
    assert [row[2] for row in table["rows"]] == ["copy", "triad", "fma", "memory"]
    assert all(row[3] > 0 for row in table["rows"])
    assert [row[6] for row in table["rows"]] == [None, None, 0, 0]
    assert set(done.tail.kernels) == {"copy", "triad", "fma", "memory"}
    assert done.tail.kernels["copy"].roofline_percent <= 100.001
    assert done.tail.roofline.measured and done.tail.roofline.device.startswith("CPU, ")
    assert done.tail.metrics["errors"] == 0
    assert done.tail.progress.done == done.tail.progress.total
    assert "is well: no error in" in done.messages()[-1]


@needs_compiler
def test_asked_to_stop_it_ends_its_round_and_says_how_it_was(tmp_path: Path) -> None:
    job = tmp_path / "job"
    process = start("burn-in", COMMAND, job, {}, minutes=60, mebibytes=12, device="cpu")
    assert process.stdout is not None
    while not (job / "events.jsonl").exists() or "table" not in (job / "events.jsonl").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    done = ended(process, job, stop=True)
    assert done.code == 0, done.log
    assert done.tail.progress.done < done.tail.progress.total
    assert "is well" in done.messages()[-1]


def test_without_any_compiler_it_says_so_and_ends_with_2(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sed"):
        (tools / name).symlink_to(shutil.which(name) or "")
    variables = {"PATH": str(tools), "CUDA_HOME": str(tmp_path), "CXX": "none"}
    for device, told in (("auto", "neither nvcc nor a C++ compiler"), ("cuda", "There is no nvcc")):
        job = tmp_path / device
        process = start(
            "burn-in", (str(tools / "bash"), "workload.sh"), job, variables, device=device
        )
        done = ended(process, job)
        assert done.code == 2 and told in done.messages()[0]


@pytest.mark.heavy
@needs_compiler
def test_without_nvcc_the_processor_is_tested_and_it_is_said(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*"):
            if tool.name not in ("nvcc", "cockpit") and not (tools / tool.name).exists():
                (tools / tool.name).symlink_to(tool)
    variables = {"PATH": str(tools), "CUDA_HOME": str(tmp_path)}
    job = tmp_path / "job"
    done = ended(start("burn-in", COMMAND, job, variables, minutes=0.01, mebibytes=12), job)
    assert done.code == 0, done.log
    assert done.messages()[0] == "There is no nvcc here, so the processor is tested and no GPU."


@pytest.mark.heavy
@needs_nvcc
@no_gpu
def test_compiled_for_cuda_it_says_that_there_is_no_device_to_run_on(tmp_path: Path) -> None:
    told = "Compiled, but there is no CUDA device to run on ("
    done = run("burn-in", COMMAND, tmp_path / "cuda", device="cuda")
    assert done.code == 2, done.log
    assert done.messages()[0].startswith(told)
    done = run("burn-in", COMMAND, tmp_path / "auto", minutes=0.01, mebibytes=12)
    assert done.code == 0, done.log
    assert done.messages()[0].startswith(told)
    assert done.messages()[0].endswith("the processor is tested, and no GPU.")
