"""What the terminal knows of jobs: what is told, what is asked for, and what is no more."""

from __future__ import annotations

from dataclasses import replace

from cockpit.client import Connected
from cockpit.model import ArrayMember, BoxInfo, Job
from cockpit.tui.live import Live


def job(number: int, array: ArrayMember | None = None) -> Job:
    return Job(str(number), "sleep", None, ("sleep",), "COMPLETED", array=array)


def connected(live: Live) -> None:
    live.take(Connected(BoxInfo("box", "simulated", None, 10)))


def test_a_job_that_somebody_removed_is_forgotten() -> None:
    live = Live(lambda: 0.0)
    connected(live)
    live.fill([job(1), job(2)], [])
    live.take(replace(job(1), removed=True))
    assert list(live.jobs) == ["2"]


def test_a_list_that_was_asked_for_before_a_removal_does_not_bring_the_job_back() -> None:
    live = Live(lambda: 0.0)
    connected(live)
    live.take(replace(job(1), removed=True))
    live.fill([job(1), job(2)], [])
    assert list(live.jobs) == ["2"]


def test_what_was_removed_while_nobody_listened_is_gone_after_connecting_again() -> None:
    live = Live(lambda: 0.0)
    connected(live)
    live.fill([job(1), job(2)], [])
    connected(live)
    live.take(job(3))
    live.fill([job(2)], [])
    assert sorted(live.jobs) == ["2", "3"]


def test_the_jobs_of_an_array_are_known_by_its_id() -> None:
    live = Live(lambda: 0.0)
    for number in (4, 5):
        live.take(job(number, ArrayMember("4", number - 4, 2)))
    live.take(job(6))
    assert live.arrays() == {"4": ["4", "5"]}
