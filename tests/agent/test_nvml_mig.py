"""MIG: the slices of a GPU, with what each has of its own."""

from __future__ import annotations

import os

import pynvml as nv
import pytest
from standin.fixtures import Standin
from standin.nvml_box import OpenBox

THREE, TWO, ONE = 9, 14, 19
"""Profile ids of `nvidia-smi mig -lgip`: 3g.40gb, 2g.20gb, 1g.10gb."""
LAYOUT = ((2, THREE, 4, 4), (3, TWO, 2, 2), (9, ONE, 0, 1), (10, ONE, 1, 1))


def test_slices_are_known_by_uuid_profile_and_place(open_box: OpenBox, standin: Standin) -> None:
    standin.mig(6, *LAYOUT)
    gpu = open_box().sample().gpus[6]
    assert gpu.mig_enabled is True
    assert [each.profile for each in gpu.slices] == ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]
    assert [each.gpu_instance for each in gpu.slices] == [2, 3, 9, 10]
    assert [(each.placement_start, each.placement_size) for each in gpu.slices] == [
        (4, 4),
        (2, 2),
        (0, 1),
        (1, 1),
    ]
    nv.nvmlInit()
    handle = nv.nvmlDeviceGetHandleByIndex(6)
    for place, each in enumerate(gpu.slices):
        mig = nv.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
        memory = nv.nvmlDeviceGetMemoryInfo(mig, nv.nvmlMemory_v2)
        assert each.uuid == nv.nvmlDeviceGetUUID(mig)
        assert each.memory_total_bytes == memory.total
    nv.nvmlShutdown()


def test_a_gpu_with_mig_has_no_utilization_of_its_own_but_its_slices_have_activity(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.mig(6, *LAYOUT)
    standin.set(6, sm_active=80, tensor_active=40, dram_active=20)
    gpu = open_box().settle(4).gpus[6]
    assert gpu.utilization_percent is None
    assert gpu.errors["utilization_percent"] == "NVML_ERROR_NOT_SUPPORTED"
    assert [each.sm_active_percent for each in gpu.slices] == pytest.approx([80, 76, 72, 68])
    assert gpu.slices[1].tensor_active_percent == pytest.approx(38)
    assert gpu.slices[0].dram_active_percent == pytest.approx(20)


def test_processes_are_on_their_slice_and_on_the_gpu(open_box: OpenBox, standin: Standin) -> None:
    standin.mig(6, *LAYOUT)
    standin.process(6, os.getpid(), 3 << 30, instance=9)
    gpu = open_box().settle(4).gpus[6]
    assert [[process.pid for process in each.processes] for each in gpu.slices] == [
        [],
        [],
        [os.getpid()],
        [],
    ]
    assert [process.pid for process in gpu.processes] == [os.getpid()]
    assert gpu.processes[0].memory_used_bytes == 3 << 30


def test_slices_that_come_and_go_are_followed(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    assert box.sample().gpus[2].mig_enabled is False
    standin.mig(2, (2, THREE, 0, 4))
    assert [each.profile for each in box.settle(6).gpus[2].slices] == ["3g.40gb"]
    standin.mig(2, (3, TWO, 0, 2), (4, TWO, 2, 2))
    assert [each.profile for each in box.settle(6).gpus[2].slices] == ["2g.20gb", "2g.20gb"]
    standin.mig(2)
    standin.set(2, mig_mode=0)
    gpu = box.settle(6).gpus[2]
    assert (gpu.mig_enabled, gpu.slices) == (False, ())
    assert gpu.utilization_percent is not None
    assert "utilization_percent" not in gpu.errors


def test_a_driver_that_tells_placements_only_to_root_leaves_them_unknown(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.mig(6, (2, THREE, 0, 4))
    standin.fail(6, "nvmlDeviceGetGpuInstanceById", 4)
    (only,) = open_box().sample().gpus[6].slices
    assert (only.profile, only.placement_start, only.placement_size) == ("3g.40gb", None, None)


def test_the_other_gpus_are_not_slower_for_one_that_is_cut_up(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.mig(6, *LAYOUT)
    gpus = open_box().settle(4).gpus
    assert all(gpu.errors == {} and gpu.slices == () for gpu in gpus if gpu.index != 6)
