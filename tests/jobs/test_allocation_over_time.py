"""Jobs come and go, GPUs fail and come back, strangers move in: what must hold all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from allocation_box import GIB, cards, resources
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from job_bench import uuid

from cockpit.agent.jobs.allocation import Decision, Waiting, _Pass, decide
from cockpit.agent.jobs.board import NEVER, Hold
from cockpit.agent.jobs.resources import Device, Resources, Wish, refusal

COUNT = 6
BOX = cards("pcie", COUNT)
LAYOUTS = ({}, {5: ["3g.40gb", "2g.20gb", "2g.20gb"]}, {4: ["1g.10gb"] * 7, 5: ["2g.20gb"] * 3})
PROFILES = ("1g.10gb", "2g.20gb", "3g.40gb")

limits = st.none() | st.sampled_from([10.0, 100.0, 1000.0])
counts = st.builds(Wish, st.integers(1, COUNT), limit_s=limits)
named = st.builds(
    Wish,
    st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=3).map(
        lambda found: tuple(uuid(index) for index in sorted(found))
    ),
    limit_s=limits,
)
shared = st.builds(
    Wish,
    st.integers(1, 2),
    memory_bytes=st.sampled_from([10 * GIB, 30 * GIB, 50 * GIB]),
    shared=st.just(True),
    limit_s=limits,
)
slices = st.builds(
    Wish,
    slices=st.lists(st.sampled_from(PROFILES), min_size=1, max_size=3).map(
        lambda names: tuple(sorted(names))
    ),
    limit_s=limits,
)
wishes = counts | named | shared | slices


@dataclass(frozen=True)
class Running:
    wish: Wish
    devices: tuple[Device, ...]
    started_s: float

    def holds(self, job: str) -> list[Hold]:
        limit_s = self.wish.limit_s
        until_s = NEVER if limit_s is None else self.started_s + limit_s
        aside = (self.wish.memory_bytes or 0) if self.wish.shared else None
        return [Hold(job, device.uuid, until_s, aside) for device in self.devices]


class Box(RuleBasedStateMachine):
    """One box, its queue and its time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.number = 0
        self.waiting: dict[str, tuple[int, Wish]] = {}
        self.running: dict[str, Running] = {}
        self.lost: set[int] = set()
        self.strangers: set[int] = set()
        self.layout: dict[int, list[str]] = {}

    def at(self) -> Resources:
        return resources(
            BOX, lost=tuple(self.lost), external=tuple(self.strangers), slices=self.layout
        )

    @rule(wish=wishes, priority=st.sampled_from([0, 0, 0, 5]))
    def submit(self, wish: Wish, priority: int) -> None:
        if refusal(wish, self.at()):
            return
        self.number += 1
        self.waiting[str(self.number)] = (priority, wish)
        self.schedule()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        del self.waiting[data.draw(st.sampled_from(sorted(self.waiting)))]
        self.schedule()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        del self.running[data.draw(st.sampled_from(sorted(self.running)))]
        self.schedule()

    @rule(seconds=st.sampled_from([1.0, 50.0, 500.0]))
    def time_goes_on(self, seconds: float) -> None:
        self.now_s += seconds
        for job, each in tuple(self.running.items()):
            if each.wish.limit_s is not None and each.started_s + each.wish.limit_s <= self.now_s:
                del self.running[job]
        self.schedule()

    @rule(lost=st.sets(st.integers(0, COUNT - 1), max_size=2))
    def gpus_fail_and_come_back(self, lost: set[int]) -> None:
        self.lost = lost
        self.schedule()

    @rule(strangers=st.sets(st.integers(0, COUNT - 1), max_size=2))
    def strangers_come_and_go(self, strangers: set[int]) -> None:
        self.strangers = strangers
        self.schedule()

    @rule(layout=st.sampled_from(LAYOUTS))
    def slices_change(self, layout: dict[int, list[str]]) -> None:
        busy = {device.gpu_index for each in self.running.values() for device in each.devices}
        # The driver cuts no GPU that is in use.
        if not busy & {*layout, *self.layout}:
            self.layout = layout
        self.schedule()

    def schedule(self) -> None:
        at = self.at()
        held = [hold for job, each in self.running.items() for hold in each.holds(job)]
        line = sorted(self.waiting.items(), key=lambda item: (-item[1][0], int(item[0])))
        queue = [Waiting(job, wish) for job, (_, wish) in line]
        decisions = decide(queue, at, held, self.now_s)
        assert decisions == decide(queue, at, held, self.now_s)
        for decision in decisions:
            self.take(decision, at)

    def take(self, decision: Decision, at: Resources) -> None:
        wish = self.waiting[decision.job][1]
        if decision.devices is None:
            assert decision.reason
            return
        assert decision.why
        asked = len(wish.slices) or (
            wish.gpus if isinstance(wish.gpus, int) else len(set(wish.gpus))
        )
        assert len({device.uuid for device in decision.devices}) == asked
        for device in decision.devices:
            assert device.obstacle != "lost"
            assert bool(device.profile) == bool(wish.slices)
            assert isinstance(wish.gpus, tuple) or not device.obstacle
            assert device.gpu_index not in self.layout or device.profile
        if isinstance(wish.gpus, tuple):
            assert {device.uuid for device in decision.devices} == set(wish.gpus)
        assert sorted(device.profile for device in decision.devices) == (
            sorted(wish.slices) or [""] * asked
        )
        del self.waiting[decision.job]
        self.running[decision.job] = Running(wish, decision.devices, self.now_s)

    @invariant()
    def nothing_is_given_twice(self) -> None:
        on: dict[str, list[Wish]] = {}
        size: dict[str, int] = {}
        for each in self.running.values():
            for device in each.devices:
                on.setdefault(device.uuid, []).append(each.wish)
                size[device.uuid] = device.memory_bytes or 0
        for device_uuid, together in on.items():
            if len(together) > 1:
                assert all(wish.shared for wish in together)
                assert sum(wish.memory_bytes or 0 for wish in together) <= size[device_uuid]

    @invariant()
    def an_idle_and_healthy_box_keeps_nobody_waiting(self) -> None:
        if not self.running and not self.lost and not self.strangers:
            possible = [w for _, w in self.waiting.values() if not refusal(w, self.at())]
            assert not possible

    def teardown(self) -> None:
        """Once all is well, whoever can run at all runs in the end."""
        self.lost, self.strangers = set(), set()
        self.schedule()
        for _ in range(2 * len(self.waiting) + 2):
            if self.running:
                del self.running[min(self.running, key=int)]
            self.schedule()
        while self.running:
            del self.running[min(self.running, key=int)]
            self.schedule()
        assert all(refusal(wish, self.at()) for _, wish in self.waiting.values())


TestBox = Box.TestCase
TestBox.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# A big job is never starved


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[float, Wish, float]]:
    """When each job is submitted, what it wants, and which share of its limit it really runs."""
    found = draw(
        st.lists(
            st.tuples(
                st.floats(0, 300),
                st.builds(Wish, st.integers(1, 4), limit_s=st.sampled_from([20.0, 60.0, 200.0])),
                st.floats(0.1, 1.0),
            ),
            max_size=40,
        )
    )
    return sorted(found, key=lambda each: each[0])


@settings(max_examples=150, deadline=None)
@given(streams(), st.integers(1, COUNT), st.lists(st.integers(1, 3), max_size=4))
def test_no_stream_of_later_jobs_delays_the_first_that_waits(
    stream: list[tuple[float, Wish, float]], wanted: int, before: list[int]
) -> None:
    """Every promise that is made to the first job holds, whatever is submitted behind it."""
    at = resources(BOX)
    jobs = {str(n): (Wish(count, limit_s=100.0), 1.0) for n, count in enumerate(before, start=1)}
    big = str(len(jobs) + 1)
    jobs[big] = (Wish(wanted, limit_s=50.0), 1.0)
    with_stream = _started(at, jobs, big, stream)
    alone = _started(at, jobs, big, [])
    assert with_stream == alone


def _started(
    at: Resources,
    jobs: dict[str, tuple[Wish, float]],
    big: str,
    stream: list[tuple[float, Wish, float]],
) -> float:
    """When the big job starts, those before it in the queue and the stream behind it."""
    waiting, running = dict(jobs), {}
    arrivals = [
        (time_s, str(1000 + n), wish, share) for n, (time_s, wish, share) in enumerate(stream)
    ]
    now_s = 0.0
    while big in waiting:
        for time_s, job, wish, share in arrivals:
            if time_s <= now_s and job not in waiting:
                waiting.setdefault(job, (wish, share))
        arrivals = [each for each in arrivals if each[0] > now_s]
        holds = [hold for job, (each, _) in running.items() for hold in each.holds(job)]
        for decision in decide([Waiting(j, w) for j, (w, _) in waiting.items()], at, holds, now_s):
            if decision.devices is not None:
                wish, share = waiting.pop(decision.job)
                ends_s = now_s + share * (wish.limit_s or 0.0)
                running[decision.job] = (Running(wish, decision.devices, now_s), ends_s)
        if big in waiting:
            later = [ends_s for _, ends_s in running.values()] + [each[0] for each in arrivals]
            now_s = min(time_s for time_s in later if time_s > now_s)
            running = {job: each for job, each in running.items() if each[1] > now_s}
    return now_s


@given(st.integers(1, COUNT), st.sets(st.integers(0, COUNT - 1)))
def test_a_choice_of_gpus_is_a_choice_among_the_free(count: int, free: set[int]) -> None:
    topology = resources(BOX).topology
    if count <= len(free):
        chosen = topology.choose(free, count)
        assert len(set(chosen)) == count and set(chosen) <= free
        assert chosen == topology.choose(sorted(free, reverse=True), count)
        assert topology.why(chosen, free)


def test_islands_come_first_and_stay_whole_for_others() -> None:
    ten = resources(cards("pcie", 10)).topology
    everyone = set(range(10))
    assert ten.choose(everyone, 2) == (6, 7)
    assert ten.why((6, 7), everyone) == "an NVLink pair on NUMA node 1"
    # One whose partner is busy before a pair is broken.
    assert ten.choose(everyone - {3}, 1) == (2,)
    assert "GPU 3 which is busy: no free pair was broken" in ten.why((2,), everyone - {3})
    # Four of one NUMA node rather than two pairs across both.
    assert ten.choose(everyone, 4) == (6, 7, 8, 9)
    assert ten.why((6, 7, 8, 9), everyone) == "2 NVLink pairs on NUMA node 1"
    assert ten.choose(everyone - {6}, 3) == (7, 8, 9)
    assert ten.choose(everyone, 1, {**dict.fromkeys(range(10), 40.0), 8: 30.0}) == (8,)
    switched = resources(cards("sxm", 8)).topology
    assert switched.choose(set(range(8)), 4) in ((0, 1, 2, 3), (4, 5, 6, 7))
    assert "an NVLink island on NUMA node" in switched.why((0, 1, 2, 3), set(range(8)))


def test_a_box_without_links_still_says_where() -> None:
    plain = replace(BOX, topology=(), gpus=tuple(replace(g, nvlink_peers=()) for g in BOX.gpus))
    topology = resources(plain).topology
    assert topology.choose({0, 4, 5}, 2) == (4, 5)
    assert topology.why((4, 5), {0, 4, 5}) == "on NUMA node 1"


class _Forgetful(set[Wish]):
    """Remembers no wish that is hopeless."""

    def __contains__(self, wish: object) -> bool:
        return False


@settings(deadline=None)
@given(
    st.lists(wishes, min_size=1, max_size=8),
    st.lists(st.integers(0, 7), min_size=1, max_size=30),
    st.sampled_from(LAYOUTS),
    st.lists(st.sampled_from([NEVER, 50.0, 500.0]), min_size=COUNT, max_size=COUNT),
)
def test_leaving_out_promises_that_change_nothing_changes_no_decision(
    kinds: list[Wish], order: list[int], layout: dict[int, list[str]], until_s: list[float]
) -> None:
    box = resources(BOX, slices=layout)
    queue = [Waiting(str(n + 100), kinds[kind % len(kinds)]) for n, kind in enumerate(order)]
    holds = [Hold(str(n), device.uuid, until_s[n % COUNT]) for n, device in enumerate(box.devices)][
        : COUNT - 1
    ]
    careful = _Pass(box, holds, 0.0)
    careful._hopeless = _Forgetful()
    assert decide(queue, box, holds, 0.0) == tuple(careful.decide(each) for each in queue)
