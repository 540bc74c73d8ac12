"""What a job used: claimed only where it is the job's, through restarts, set clocks and new counters."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.agent.jobs.accounting import Account, Rates
from cockpit.model import Gpu, Process, Slice, Snapshot

WATTS = 300.0
MINE, OTHER = Process(1, "ann", memory_used_bytes=5, job="7"), Process(2, "bob", job="8")
STRANGER = Process(4242, "eve")
SCREEN = Process(3, "root", kind="graphics")


def gpu(index: int, energy_j: float | None, *processes: Process, watts: float = WATTS) -> Gpu:
    return Gpu(index, f"G{index}", "H100", power_w=watts, energy_j=energy_j, processes=processes)


class Clock:
    """Ticks once a second; `wall` can be set, the other one cannot."""

    def __init__(self) -> None:
        self.monotonic_s, self.wall_s = 50.0, 1000.0

    def tick(self, seconds: float = 1.0) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds


class Story:
    """A job on G0 that draws WATTS from the first second on."""

    def __init__(self, gpus: tuple[str, ...] = ("G0",), slices: tuple[str, ...] = ()) -> None:
        self.clock = Clock()
        self.account = Account("7", gpus, slices)
        self.started_s = self.clock.wall_s
        self.ended_s: float | None = None
        self.joules = 9e6

    def see(self, *gpus: Gpu) -> None:
        snapshot = Snapshot(self.clock.wall_s, gpus)
        self.account.observe(snapshot, self.started_s, self.ended_s, self.clock.monotonic_s)

    def run(self, seconds: int, *processes: Process) -> Story:
        for _ in range(seconds):
            self.see(gpu(0, self.joules, *processes))
            self.clock.tick()
            self.joules += WATTS
        self.see(gpu(0, self.joules, *processes))
        return self

    def restart(self) -> None:
        plain = json.loads(json.dumps(self.account.plain()))
        self.account = Account("7", self.account.gpus, self.account.slices, plain)


def test_energy_power_and_memory_of_a_job_that_has_its_gpu_alone() -> None:
    account = Story().run(100, MINE, SCREEN).account
    assert account.energy_j == pytest.approx(100 * WATTS)
    assert account.power_mean_w == pytest.approx(WATTS)
    assert (account.power_peak_w, account.memory_peak_bytes, account.errors) == (WATTS, 5, {})
    assert account.gpu_energy_j == {"G0": pytest.approx(100 * WATTS)}


def test_what_is_shared_is_not_claimed_and_the_reason_names_the_other() -> None:
    for other, who in ((OTHER, "job 8"), (STRANGER, "process 4242 of eve")):
        story = Story().run(50, MINE, other)
        assert story.account.energy_j is None and story.account.gpu_energy_j == {}
        expected = f"shared with {who} for 50 s, and one counter serves all"
        assert story.account.errors == {"energy_j": expected}
        assert story.account.power_mean_w == pytest.approx(WATTS)


def test_somebody_who_only_looked_in_does_not_cost_a_long_job_its_energy() -> None:
    story = Story().run(2, MINE, STRANGER)
    assert story.account.energy_j is None
    assert story.run(300, MINE).account.energy_j == pytest.approx(302 * WATTS)


def test_a_slice_has_no_meter_but_its_memory_is_known() -> None:
    story = Story(gpus=(), slices=("MIG-1",))
    part = Slice("MIG-1", "1g.10gb", 1, processes=(MINE, replace(MINE, pid=9)))
    other = Slice("MIG-2", "1g.10gb", 2, processes=(replace(MINE, memory_used_bytes=100),))
    story.see(replace(gpu(0, 1.0), slices=(part, other)))
    assert story.account.memory_peak_bytes == 10
    reason = "a slice has no meter of its own"
    assert story.account.errors == dict.fromkeys(
        ("energy_j", "power_mean_w", "power_peak_w"), reason
    )


def test_a_job_without_a_gpu_says_so() -> None:
    errors = Account("7", ()).errors
    assert set(errors.values()) == {"it has no GPU"}


def test_a_gpu_without_a_counter_is_told_by_the_drivers_own_word() -> None:
    story = Story()
    for _ in range(3):
        story.see(replace(gpu(0, None), errors={"energy_j": "NVML_ERROR_NOT_SUPPORTED"}))
        story.clock.tick()
    assert story.account.errors["energy_j"] == "its energy counter: NVML_ERROR_NOT_SUPPORTED"


@pytest.mark.parametrize("jump_s", [7200.0, -7200.0])
def test_setting_the_clock_changes_no_figure(jump_s: float) -> None:
    story = Story().run(50, MINE)
    story.clock.wall_s += jump_s
    story.run(50, MINE)
    story.restart()
    story.run(20, MINE)
    account = story.account
    assert account.energy_j == pytest.approx(120 * WATTS)
    assert account.power_mean_w == pytest.approx(WATTS)
    assert account.clock_shift_s == pytest.approx(jump_s)


def test_a_reading_that_comes_late_is_no_set_clock() -> None:
    story = Story().run(10, MINE)
    for late_s in (1.5, -1.0, 0.5):
        story.clock.monotonic_s += late_s
        story.run(5, MINE)
    assert story.account.clock_shift_s == 0.0


def test_a_counter_that_starts_anew_leaves_its_time_out() -> None:
    story = Story().run(200, MINE)
    story.joules = 0.0
    assert story.run(200, MINE).account.energy_j == pytest.approx(400 * WATTS)
    short = Story().run(3, MINE)
    short.joules, short.clock.wall_s = 0.0, short.clock.wall_s + 1
    short.clock.monotonic_s += 1
    short.run(3, MINE)
    assert short.account.errors["energy_j"].startswith("its counter was started anew")


def test_a_counter_that_leaps_is_not_believed() -> None:
    story = Story().run(200, MINE)
    story.clock.tick()
    story.joules += 1e9
    assert story.run(200, MINE).account.energy_j == pytest.approx(400 * WATTS)


def test_another_attempt_on_another_gpu_adds_to_the_first() -> None:
    story = Story().run(100, MINE)
    plain = json.loads(json.dumps(story.account.plain()))
    again = Account("7", ("G1",), (), plain)
    for second in range(11):
        snapshot = Snapshot(2000.0 + second, (gpu(1, second * 100.0, MINE),))
        again.observe(snapshot, 2000.0, None, 1050.0 + second)
    assert again.energy_j == pytest.approx(100 * WATTS + 1000)
    assert again.gpu_energy_j == {"G0": pytest.approx(100 * WATTS), "G1": pytest.approx(1000)}


def test_the_time_before_the_start_and_after_the_end_is_not_the_jobs() -> None:
    story = Story()
    story.started_s = story.clock.wall_s + 10
    story.run(30, MINE)
    story.ended_s = story.clock.wall_s
    story.run(30, MINE)
    assert story.account.energy_j == pytest.approx(20 * WATTS)


def test_what_another_version_kept_is_no_trouble() -> None:
    account = Account("7", ("G0",), (), {"meters": {"G0": {"what": 1}}, "clock": 3})
    account.observe(Snapshot(1.0, (gpu(0, 1.0),)), 0.0, None)
    assert account.energy_j is None


def test_cost_and_co2_go_by_the_kilowatt_hour() -> None:
    rates = Rates(0.30, 380.0)
    assert (rates.cost(3.6e6), rates.co2_g(1.8e6)) == (0.30, 190.0)
    assert (Rates().cost(1.0), rates.cost(None), Rates().co2_g(1.0)) == (None, None, None)


ticks = st.lists(
    st.tuples(st.floats(0.1, 60.0), st.floats(0.0, 700.0), st.booleans()), min_size=1, max_size=30
)


@given(steps=ticks, turn=st.integers(0, 30))
def test_two_jobs_one_after_the_other_have_all_that_the_counter_says(
    steps: list[tuple[float, float, bool]], turn: int
) -> None:
    """However the readings fall, and however often the agent is another one."""
    first, second = Account("1", ("G0",)), Account("2", ("G0",))
    time_s, joules = 1000.0, 5e5
    turn_s = time_s + sum(step[0] for step in steps[:turn]) + 0.05
    readings = [(time_s, joules)]
    for seconds, watts, _ in steps:
        time_s, joules = time_s + seconds, joules + seconds * watts
        readings.append((time_s, joules))
    for number, (now_s, counter) in enumerate(readings):
        snapshot = Snapshot(now_s, (gpu(0, counter),))
        first.observe(snapshot, 1000.0, turn_s, now_s)
        second.observe(snapshot, turn_s, None, now_s)
        if number < len(steps) and steps[number][2]:
            first = Account("1", ("G0",), (), json.loads(json.dumps(first.plain())))
            second = Account("2", ("G0",), (), json.loads(json.dumps(second.plain())))
    whole = readings[-1][1] - readings[0][1]
    assert (first.energy_j or 0.0) + (second.energy_j or 0.0) == pytest.approx(whole)
