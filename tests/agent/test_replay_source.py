"""A recording as a box: at its own pace, with the times of then, and held at its end."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from agents import gpu

from cockpit.agent.telemetry.replay import ReplaySource
from cockpit.client import Box
from cockpit.model import BoxInfo, Event, Snapshot
from cockpit.recording import Recorder
from cockpit.settings import AgentSettings
from cockpit.transports.local import LocalTransport

THEN = 1_700_000_000.0


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(Recorder(tmp_path / "tower.rec")) as recorder:
        recorder.write(BoxInfo("tower", "nvml", "580.1", 1, revision=3))
        for second in range(10):
            recorder.write(Snapshot(THEN + second, (gpu(power_w=100.0 + second),), sequence=second))
            if second == 4:
                recorder.write(Event(77, THEN + 4.5, "xid", "critical", "XID 79"))
    return tmp_path / "tower.rec"


def playing(file: Path, speed: float = 1.0) -> tuple[ReplaySource, Clock]:
    clock = Clock()
    source = ReplaySource(
        AgentSettings(source="replay", replay_file=str(file), replay_speed=speed), clock
    )
    source.open()
    return source, clock


def test_the_box_is_called_a_replay(file: Path) -> None:
    source, _ = playing(file)
    assert (source.box().name, source.box().source) == ("tower", "replay")


@pytest.mark.parametrize("made_of", ["simulated", "nvml"])
def test_a_replay_of_a_simulated_box_is_still_simulated(tmp_path: Path, made_of: str) -> None:
    path = tmp_path / "box.rec"
    with closing(Recorder(path)) as recorder:
        recorder.write(BoxInfo("box", made_of, None, 1))  # type: ignore[arg-type]
        recorder.write(Snapshot(THEN, (gpu(),)))
    again = tmp_path / "again.rec"
    with closing(Recorder(again)) as recorder:
        recorder.write(playing(path)[0].box())
        recorder.write(Snapshot(THEN, (gpu(),)))
    for file in (path, again):
        box = playing(file)[0].box()
        assert (box.source, box.simulated) == ("replay", made_of == "simulated")


def test_snapshots_come_when_they_came_with_their_own_times(file: Path) -> None:
    source, clock = playing(file)
    assert source.sample().time_s == THEN
    clock.now += 3.5
    sample = source.sample()
    assert (sample.time_s, sample.gpus[0].power_w) == (THEN + 3, 103.0)


def test_speed_makes_time_go_faster(file: Path) -> None:
    source, clock = playing(file, speed=4.0)
    clock.now += 2.0
    assert source.sample().time_s == THEN + 8


def test_recorded_events_happen_again_under_new_numbers(file: Path) -> None:
    source, clock = playing(file)
    clock.now += 4.0
    assert source.sample().events == ()
    clock.now += 1.0
    (event,) = source.sample().events
    assert (event.id, event.text, event.time_s) == (0, "XID 79", THEN + 4.5)


def test_the_end_is_told_once_and_held(file: Path) -> None:
    source, clock = playing(file)
    clock.now += 100.0
    first, second = source.sample(), source.sample()
    assert first.time_s == second.time_s == THEN + 9
    assert "ends here" in first.events[-1].text
    assert second.events == ()


def test_a_cut_recording_is_played_up_to_there(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-12])
    source, clock = playing(file)
    clock.now += 100.0
    sample = source.sample()
    assert sample.gpus[0].power_w >= 100.0
    assert sample.events[-1].severity == "warning"
    assert "cut" in sample.events[-1].text


def test_a_file_that_is_no_recording_is_a_box_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    source, _ = playing(tmp_path / "x")
    assert "cannot be played" in (source.box().problem or "")
    assert source.box().advice
    assert source.sample().gpus == ()


async def test_a_recording_is_seen_through_an_agent(home: Path, file: Path) -> None:
    settings = AgentSettings(
        name="replay", source="replay", replay_file=str(file), replay_speed=5.0, interval_s=0.1
    )
    transport = LocalTransport(settings)
    async with Box(transport) as box:
        assert box.info is not None
        assert box.info.source == "replay"
        async for update in box.follow():
            if isinstance(update, Snapshot) and update.time_s == THEN + 9:
                break
        series = await box.history("GPU-a", "power_w", THEN, THEN + 9)
        assert series.mean[0] == 100.0
        assert series.mean[-1] == 109.0
    await transport.restart()
