"""The simulated box: what it is made of, and who lives on it in the demo."""

from __future__ import annotations

import itertools
import json

import pytest
from simulated_box import Box

from cockpit import codec
from cockpit.agent.telemetry.source import Sample
from cockpit.errors import UsageError
from cockpit.model import Snapshot


@pytest.mark.parametrize(
    ("kind", "name", "limit_w", "gib"),
    [
        ("pcie", "NVIDIA H100 PCIe", 350.0, 80),
        ("sxm", "NVIDIA H100 80GB HBM3", 700.0, 80),
        ("nvl", "NVIDIA H100 NVL", 400.0, 94),
    ],
)
def test_a_box_has_ten_cards_of_the_kind_asked_for(
    kind: str, name: str, limit_w: float, gib: int
) -> None:
    box = Box(kind=kind)
    assert box.info.source == "simulated"
    assert box.info.gpu_count == len(box.info.gpus) == 10
    gpus = box.sample().gpus
    assert [gpu.index for gpu in gpus] == list(range(10))
    assert {gpu.name for gpu in gpus} == {name}
    assert {gpu.power_limit_w for gpu in gpus} == {limit_w}
    assert round((gpus[0].memory_total_bytes or 0) / (1 << 30)) == gib
    assert len({info.uuid for info in box.info.gpus}) == 10
    assert len({info.pci_bus_id for info in box.info.gpus}) == 10
    assert all(gpu.uuid == info.uuid for gpu, info in zip(gpus, box.info.gpus, strict=True))


def test_pcie_cards_are_bridged_in_pairs_over_two_sockets() -> None:
    info = Box().info
    for one, other in itertools.product(range(10), repeat=2):
        path = info.topology[one][other]
        assert path == info.topology[other][one]
        paired = one // 2 == other // 2
        assert path == "X" if one == other else (path == "NV12") == paired
        across = info.gpus[one].numa_node != info.gpus[other].numa_node
        assert (path == "SYS") == across
    assert info.topology[0] == ("X", "NV12", "PIX", "PIX", "NODE", "NODE", *["SYS"] * 4)
    assert {gpu.numa_node for gpu in info.gpus} == {0, 1}
    assert {gpu.cpu_affinity for gpu in info.gpus} == {"0-31,64-95", "32-63,96-127"}
    assert info.gpus[3].nvlink_peers == (2,)
    gpu = Box().gpu(3)
    assert len(gpu.nvlinks) == 12
    assert all(link.active and link.peer == 2 for link in gpu.nvlinks)


def test_sxm_cards_all_reach_each_other_through_switches() -> None:
    box = Box(kind="sxm", gpu_count=8)
    assert {path for row in box.info.topology for path in row} == {"X", "NV18"}
    assert box.info.gpus[3].nvlink_peers == (0, 1, 2, 4, 5, 6, 7)
    assert all(link.peer is None for link in box.gpu(0).nvlinks)


def test_a_card_without_a_bridge_has_no_nvlink_figures() -> None:
    gpu = Box(gpu_count=3).gpu(2)
    assert gpu.nvlinks == ()
    assert gpu.nvlink_rx_bytes_per_s is None
    assert gpu.errors["nvlink_rx_bytes_per_s"] == "NVML_ERROR_NOT_SUPPORTED"


def test_the_same_seed_and_clock_give_the_same_readings() -> None:
    def run(seed: int) -> list[Sample]:
        box = Box(seed=seed, demo=True, faults=("3:lost", "2:hot"))
        return [box.sample(step) for step in (1.0, 1.0, 0.5, 60.0, 1.0)]

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_every_reading_survives_the_wire() -> None:
    box = Box(demo=True, faults=("3:lost",))
    snapshot = Snapshot(box.now_s, box.sample().gpus)
    assert codec.loads(Snapshot, json.loads(codec.dumps(snapshot))) == snapshot


def test_an_idle_link_drops_its_generation_and_a_busy_one_is_gen_5_x16() -> None:
    box = Box(demo=True)
    gpus = box.sample().gpus
    assert (gpus[9].pcie_generation, gpus[9].pcie_width) == (1, 16)
    assert (gpus[0].pcie_generation, gpus[0].pcie_width) == (5, 16)


def test_a_clock_that_goes_back_does_no_harm() -> None:
    box = Box(demo=True)
    before = box.sample()
    after = box.sample(-3600.0)
    for old, new in zip(before.gpus, after.gpus, strict=True):
        assert new.energy_j == old.energy_j


class TestDemo:
    def test_its_tenants_cannot_be_taken_for_real_processes(self) -> None:
        gpus = Box(demo=True).sample().gpus
        processes = [process for gpu in gpus for process in gpu.processes]
        assert len(processes) >= 8
        for process in processes:
            assert process.pid > 4_194_304
            assert (process.command or "").endswith(" --demo")
            assert process.job is None
            assert not process.mine
        assert len({process.pid for process in processes}) == len(processes)

    def test_it_shows_training_serving_a_simulation_an_idle_holder_and_a_free_card(self) -> None:
        box = Box(demo=True)
        samples = [box.sample(20.0) for _ in range(60)]
        capped = [s for s in samples if "power_cap" in s.gpus[0].throttle_reasons]
        assert len(capped) > 0.8 * len(samples)
        serving = [s.gpus[4].power_w or 0.0 for s in samples]
        assert max(serving) - min(serving) > 60
        simulation = samples[0].gpus[6]
        assert (simulation.sm_active_percent or 0) > 90
        assert (simulation.tensor_active_percent or 99) < 5
        holder = samples[0].gpus[7]
        assert holder.utilization_percent == 0
        assert (holder.memory_used_bytes or 0) > 30 << 30
        assert samples[0].gpus[9].processes == ()
        assert all(gpu.state == "ok" and (gpu.thermal_margin_c or 0) > 5 for gpu in capped[0].gpus)

    def test_loads_move_smoothly(self) -> None:
        box = Box(demo=True)
        last = box.sample()
        for _ in range(300):
            sample = box.sample()
            for old, new in zip(last.gpus, sample.gpus, strict=True):
                assert abs((new.power_w or 0) - (old.power_w or 0)) < 60
            last = sample

    def test_one_gpu_has_slices_each_with_its_own_work(self) -> None:
        gpu = Box(demo=True).gpu(8)
        assert gpu.mig_enabled
        assert [each.profile for each in gpu.slices] == ["3g.40gb", "2g.20gb", "1g.10gb"]
        slots = [
            set(range(each.placement_start or 0, (each.placement_start or 0) + size))
            for each in gpu.slices
            if (size := each.placement_size)
        ]
        assert sum(map(len, slots)) == len(set().union(*slots))
        assert len({each.uuid for each in gpu.slices}) == 3
        assert all(each.uuid.startswith("MIG-") for each in gpu.slices)
        assert all(len(each.processes) == 1 for each in gpu.slices)
        assert all(
            (each.memory_used_bytes or 0) < (each.memory_total_bytes or 0) for each in gpu.slices
        )
        assert gpu.utilization_percent is None
        assert gpu.errors["utilization_percent"] == "NVML_ERROR_NOT_SUPPORTED"
        assert gpu.nvlink_rx_bytes_per_s is None

    @pytest.mark.parametrize("count", [1, 2, 3, 5, 16])
    def test_it_fits_any_number_of_cards_and_leaves_one_free(self, count: int) -> None:
        gpus = Box(demo=True, gpu_count=count).sample().gpus
        assert len(gpus) == count
        assert gpus[-1].processes == ()


def test_a_demo_has_a_past_that_leads_up_to_now() -> None:
    box = Box(demo=True)
    past = list(box.source.past(120))
    now = box.sample(0.0)
    times = [sample.time_s for sample in past]
    assert times == [now.time_s - back for back in range(120, 0, -1)]
    assert any(sample.gpus[4].power_w != past[0].gpus[4].power_w for sample in past)
    last, first_now = past[-1].gpus[0], now.gpus[0]
    assert last.energy_j is not None and first_now.energy_j is not None
    assert first_now.energy_j > last.energy_j


def test_a_box_without_demo_has_no_past() -> None:
    assert list(Box().source.past(120)) == []


def test_a_box_of_seventy_slices_can_be_simulated() -> None:
    box = Box(mig=tuple(f"{index}:1g.10gb*7" for index in range(10)))
    slices = [each for gpu in box.sample().gpus for each in gpu.slices]
    assert len({each.uuid for each in slices}) == 70
    assert {each.profile for each in slices} == {"1g.10gb"}


@pytest.mark.parametrize(
    ("mig", "starts"),
    [
        (("1:3g.40gb*2",), [0, 4]),
        (("1:4g.40gb", "1:2g.20gb", "1:1g.10gb"), [0, 4, 6]),
        (("1:7g.80gb",), [0]),
    ],
)
def test_slices_lie_where_mig_allows_them(mig: tuple[str, ...], starts: list[int]) -> None:
    gpu = Box(gpu_count=2, mig=mig).gpu(1)
    assert [each.placement_start for each in gpu.slices] == starts


@pytest.mark.parametrize(
    ("mig", "words"),
    [
        ("1:1g.10gb*8", "no room for another 1g.10gb"),
        ("1:4g.40gb*2", "no room for another 4g.40gb"),
        ("5:1g.10gb", "there is no GPU 5"),
        ("1:1g.11gb", "no such profile"),
    ],
)
def test_slices_that_cannot_be_are_refused(mig: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Box(gpu_count=2, mig=(mig,))
