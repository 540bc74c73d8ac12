"""The machine code of the hot kernels for an H100, which needs no GPU to compile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cubin
import pytest

pytestmark = pytest.mark.heavy

REGISTERS = 64
"""65,536 registers of a multiprocessor over 1,024 threads, half of those it can hold."""


@pytest.mark.parametrize("storage", ["fp32", "fp16"])
@pytest.mark.parametrize("collision", ["bgk", "regularized"])
def test_a_step_keeps_half_of_an_h100_busy_and_spills_nothing(
    cfd_module: Callable[[str], Any], tmp_path: Path, storage: str, collision: str
) -> None:
    import warp

    even, _ = cfd_module("kernels").step_kernels(storage, collision)
    warp.compile_aot_module(even.module, arch=90, module_dir=str(tmp_path), use_ptx=False)
    (binary,) = tmp_path.glob("*.cubin")
    registers = cubin.registers(binary)
    assert len(registers) == 2
    assert all(19 < count <= REGISTERS for count in registers), registers
    frames = cubin.frame_bytes(binary)
    assert len(frames) >= 2
    assert not any(frames), "something lies in local memory"


def test_spills_would_be_seen(tmp_path: Path) -> None:
    import warp

    Many = warp.types.vector(length=64, dtype=float)  # noqa: N806

    @warp.kernel(module="unique", cuda_max_registers=24, module_options={"max_unroll": 64})
    def crowded(values: warp.array(dtype=float)):  # type: ignore[valid-type]
        n = warp.tid()
        found = Many()
        for i in range(64):
            found[i] = values[n + i * n]
        for i in range(64):
            values[n * i] = found[63 - i] * found[i]

    warp.compile_aot_module(crowded.module, arch=90, module_dir=str(tmp_path), use_ptx=False)
    (binary,) = tmp_path.glob("*.cubin")
    assert any(cubin.frame_bytes(binary))
