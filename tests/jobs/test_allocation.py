"""Whole GPUs, all or nothing, first come first served."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from job_bench import box, snapshot, uuid

from cockpit.agent.jobs.allocation import Card, Waiting, decide, inventory, refusal

COUNT = 6


def cards(**conditions: tuple[int, ...]) -> tuple[Card, ...]:
    return inventory(box(COUNT), snapshot(COUNT, **conditions))  # type: ignore[arg-type]


def test_a_count_gets_the_first_free_gpus() -> None:
    (decision,) = decide([Waiting("1", 2)], cards(), {uuid(0): "9"})
    assert decision.gpus == (uuid(1), uuid(2))


def test_strangers_lost_and_critical_gpus_are_not_handed_out_for_a_count() -> None:
    conditions = cards(external=(0,), lost=(1,), critical=(2,))
    assert decide([Waiting("1", 3)], conditions, {})[0].gpus == (uuid(3), uuid(4), uuid(5))
    waits = decide([Waiting("1", 4)], conditions, {uuid(5): "8"})[0]
    assert waits.gpus is None
    assert waits.reason == (
        "waiting for 4 GPUs: 2 of 6 free (1 held by jobs, 1 EXTERNAL, 1 lost, 1 critical)"
    )


def test_a_stranger_is_named_by_pid_and_user() -> None:
    assert cards(external=(0,))[0].obstacle == "EXTERNAL (pid 4242 of someone)"


def test_named_gpus_are_given_with_strangers_on_them_but_never_lost() -> None:
    conditions = cards(external=(0,), lost=(1,))
    assert decide([Waiting("1", (uuid(0),))], conditions, {})[0].gpus == (uuid(0),)
    waits = decide([Waiting("1", (uuid(1),))], conditions, {})[0]
    assert (waits.gpus, waits.reason) == (None, "waiting for GPU 1: it is lost")


def test_a_job_that_waits_for_a_number_lets_no_later_one_past() -> None:
    queue = [Waiting("1", COUNT), Waiting("2", 1), Waiting("3", (uuid(5),)), Waiting("4", 0)]
    decisions = decide(queue, cards(), {uuid(0): "9"})
    assert [decision.gpus for decision in decisions] == [None, None, None, ()]
    assert decisions[1].reason == "waiting behind job 1"


def test_a_job_that_waits_for_named_gpus_keeps_only_those_for_itself() -> None:
    queue = [Waiting("1", (uuid(0), uuid(1))), Waiting("2", (uuid(1),)), Waiting("3", 2)]
    decisions = decide(queue, cards(), {uuid(0): "9"})
    assert [decision.gpus for decision in decisions] == [None, None, (uuid(2), uuid(3))]
    assert decisions[1].reason == "waiting for GPU 1: job 1 has it"


def test_before_the_first_reading_only_jobs_without_gpus_start() -> None:
    decisions = decide([Waiting("1", 1), Waiting("2", 0)], (), {})
    assert [decision.gpus for decision in decisions] == [None, ()]


def test_what_can_never_run_is_refused_with_what_would() -> None:
    assert refusal(COUNT + 1, cards()).endswith("ask for at most 6")
    assert "ask for 0 to 6" in refusal(-1, cards())
    assert "GPU-none" in refusal(("GPU-none",), cards())
    assert "twice" in refusal((uuid(0), uuid(0)), cards())
    assert refusal(COUNT, cards(lost=(0, 1))) == ""


indices = st.integers(0, COUNT - 1)
wanted = st.integers(0, COUNT) | st.sets(indices, min_size=1).map(
    lambda found: tuple(uuid(index) for index in sorted(found))
)


class Queue(RuleBasedStateMachine):
    """Jobs come and go in any order while GPUs fail and are taken by strangers."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, Waiting] = {}
        self.held: dict[str, tuple[str, ...]] = {}
        self.cards = cards()
        self.number = 0

    @rule(target=jobs, gpus=wanted)
    def submit(self, gpus: int | tuple[str, ...]) -> str:
        self.number += 1
        self.waiting[str(self.number)] = Waiting(str(self.number), gpus)
        self.step()
        return str(self.number)

    @rule(job=consumes(jobs))
    def end(self, job: str) -> None:
        self.waiting.pop(job, None)
        self.held.pop(job, None)
        self.step()

    @rule(lost=st.sets(indices), external=st.sets(indices))
    def change(self, lost: set[int], external: set[int]) -> None:
        self.cards = cards(lost=tuple(lost), external=tuple(external))
        self.step()

    def step(self) -> None:
        taken = {gpu: job for job, gpus in self.held.items() for gpu in gpus}
        obstacles = {card.uuid for card in self.cards if card.obstacle}
        for decision in decide(list(self.waiting.values()), self.cards, taken):
            if decision.gpus is None:
                assert decision.reason
                continue
            asked = self.waiting.pop(decision.job).gpus
            assert len(decision.gpus) == asked if isinstance(asked, int) else decision.gpus == asked
            assert not isinstance(asked, int) or not obstacles & set(decision.gpus)
            self.held[decision.job] = decision.gpus

    @invariant()
    def no_gpu_is_held_twice(self) -> None:
        held = [gpu for gpus in self.held.values() for gpu in gpus]
        assert len(held) == len(set(held))

    @invariant()
    def whoever_is_first_and_fits_does_not_wait(self) -> None:
        if not self.held and self.waiting and not any(card.obstacle for card in self.cards):
            raise AssertionError(f"{next(iter(self.waiting))} waits on an idle box")


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@given(st.lists(wanted, max_size=6))
def test_one_pass_never_hands_out_a_gpu_twice(requests: list[int | tuple[str, ...]]) -> None:
    queue = [Waiting(str(number), gpus) for number, gpus in enumerate(requests)]
    given_out = [gpu for decision in decide(queue, cards(), {}) for gpu in decision.gpus or ()]
    assert len(given_out) == len(set(given_out))
