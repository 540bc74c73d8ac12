"""Made-up boxes for tests that need no agent."""

from dataclasses import replace

from cockpit.model import BoxInfo, Gpu, GpuInfo, Process, Reason, Snapshot, Totals

GIB = 1 << 30


def uuid(index: int) -> str:
    return f"GPU-{index:08x}-aaaa-bbbb-cccc-000000000000"


def a_gpu(index: int = 0, **changes: object) -> Gpu:
    gpu = Gpu(
        index,
        uuid(index),
        "NVIDIA H100 PCIe",
        power_w=312.4,
        power_limit_w=350.0,
        energy_j=1234.5,
        temperature_c=61.0,
        utilization_percent=98.0,
        memory_used_bytes=40 * GIB,
        memory_total_bytes=80 * GIB,
        sm_clock_mhz=1755,
        memory_clock_mhz=1593,
        sm_active_percent=91.0,
        tensor_active_percent=40.0,
        dram_active_percent=55.0,
        pcie_rx_bytes_per_s=1e9,
    )
    return replace(gpu, **changes)  # type: ignore[arg-type]


def a_lost_gpu(index: int) -> Gpu:
    reason = Reason("lost", "critical", f"GPU {index} is lost since 14:03", "restart the machine")
    errors = {"power_w": "NVML_ERROR_GPU_IS_LOST"}
    return Gpu(index, uuid(index), "NVIDIA H100 PCIe", "lost", (reason,), errors=errors)


def a_box(count: int = 2, **changes: object) -> BoxInfo:
    gpus = tuple(
        GpuInfo(index, uuid(index), "NVIDIA H100 PCIe", pci_bus_id=f"0000:{index:02x}:00.0")
        for index in range(count)
    )
    info = BoxInfo("tower", "nvml", "580.65.06", count, gpus, hostname="tower", revision=1)
    return replace(info, **changes)  # type: ignore[arg-type]


def a_snapshot(*gpus: Gpu) -> Snapshot:
    totals = Totals(312.4, 700.0, 40 * GIB, 160 * GIB, energy_today_j=7.2e6)
    return Snapshot(1_790_000_000.0, gpus, totals, 7, box_revision=1)


def a_process(job: str) -> Process:
    return Process(4242, "ada", "python train.py", 4 * GIB, job=job)


class FakeBox:
    """A Box whose readings a test chooses; counts how often it is read."""

    def __init__(self, info: BoxInfo, snapshot: Snapshot) -> None:
        self.info, self.newest = info, snapshot
        self.reads = 0
        self.fails: Exception | None = None

    async def connect(self) -> BoxInfo:
        return self.info

    async def snapshot(self) -> Snapshot:
        self.reads += 1
        if self.fails is not None:
            raise self.fails
        return self.newest

    async def box(self) -> BoxInfo:
        return self.info

    async def close(self) -> None:
        pass
