"""Who gets which devices now, who waits and why."""

from __future__ import annotations

import pytest
from allocation_box import GIB, NOW_S, cards, held, indices, resources, run, uuids
from job_bench import box, uuid

from cockpit.agent.jobs.allocation import EXPLAINED
from cockpit.agent.jobs.resources import Resources, Tenancy, Wish, refusal
from cockpit.model import Process

PLAIN = resources(box(6))
ONE = Wish(1)


def test_a_count_gets_the_first_free_gpus() -> None:
    (decision,) = run([Wish(2)], PLAIN, held(0))
    assert indices(decision) == [1, 2]


def test_strangers_lost_and_critical_gpus_are_not_handed_out_for_a_count() -> None:
    at = resources(box(6), external=(0,), lost=(1,), critical=(2,))
    assert indices(run([Wish(3)], at)[0]) == [3, 4, 5]
    waits = run([Wish(4)], at, held(5, job="8"))[0]
    assert waits.devices is None
    assert waits.reason == (
        "waiting for 4 GPUs: 2 of 6 free (1 held by jobs, GPU 0 EXTERNAL (pid 4242 of someone),"
        " GPU 1 lost, GPU 2 critical)"
    )


def test_named_gpus_are_given_with_strangers_on_them_but_never_lost_or_leaked() -> None:
    tenancy = Tenancy(leaks={uuid(2): "2.0 GiB of job 7: pid 5 of ana"})
    at = resources(box(6), external=(0,), lost=(1,), tenancy=tenancy)
    assert indices(run([Wish((uuid(0),))], at)[0]) == [0]
    lost, leaked = run([Wish((uuid(1),)), Wish((uuid(2),))], at)
    assert (lost.devices, lost.reason) == (None, "waiting for GPU 1: it is lost")
    assert leaked.reason == "waiting for GPU 2: it is LEAKED (2.0 GiB of job 7: pid 5 of ana)"


def test_before_the_first_reading_only_jobs_without_gpus_start() -> None:
    waits, runs = run([ONE, Wish()], Resources())
    assert waits.devices is None and runs.devices == ()


def test_named_gpus_come_all_together_or_not_at_all() -> None:
    first, second, third = run(
        [Wish((uuid(0), uuid(1))), Wish((uuid(1),)), Wish(2)], PLAIN, held(0)
    )
    assert first.reason == "waiting for GPU 0: job 9 has it"
    assert second.reason == "waiting for GPU 1: it is kept for job 1"
    assert indices(third) == [2, 3]


# Memory, and sharing it


def test_only_gpus_with_the_memory_that_was_asked_for_are_given() -> None:
    at = resources(cards("pcie", 4))
    assert indices(run([Wish(1, memory_bytes=40 * GIB)], at)[0]) == [0]
    assert run([Wish(1, memory_bytes=100 * GIB)], at)[0].devices is None


def test_shared_jobs_are_packed_as_far_as_the_memory_goes_and_never_beside_an_exclusive_one() -> (
    None
):
    at = resources(cards("pcie", 4))
    thirty = Wish(1, memory_bytes=30 * GIB, shared=True)
    decisions = run([thirty, thirty, thirty, ONE], at, held(3))
    assert [indices(decision) for decision in decisions] == [[2], [2], [0], [1]]
    assert decisions[1].why == "GPU 2: shared with job 1"
    assert run([ONE], at, held(0, 1, 2, 3, shared_bytes=GIB))[0].devices is None


def test_shared_jobs_do_not_slip_past_an_exclusive_one_that_waits_for_their_gpu() -> None:
    at = resources(cards("pcie", 1))
    small = Wish(1, memory_bytes=GIB, shared=True)
    waits, late = run([ONE, small], at, held(0, shared_bytes=GIB))
    assert waits.devices is None and late.devices is None


# Slices


CUT = resources(box(6), slices={4: ["3g.40gb", "2g.20gb", "2g.20gb"], 5: ["2g.20gb", "1g.10gb"]})


def test_slices_are_given_by_profile_from_the_gpu_that_is_used_most() -> None:
    (decision,) = run([Wish(slices=("2g.20gb",))], CUT)
    assert uuids(decision) == ["MIG-5-0"]
    assert decision.why == "slice 2g.20gb of GPU 5"
    (both,) = run([Wish(slices=("1g.10gb", "2g.20gb", "2g.20gb"))], CUT)
    assert uuids(both) == ["MIG-5-1", "MIG-5-0", "MIG-4-1"]


def test_a_slice_may_be_named_and_is_then_not_given_twice() -> None:
    (decision,) = run([Wish(slices=("2g.20gb", "MIG-5-0"))], CUT)
    assert uuids(decision) == ["MIG-5-0", "MIG-4-1"]
    first, second = run([Wish(slices=("MIG-4-0",)), Wish(slices=("3g.40gb",))], CUT)
    assert uuids(first) == ["MIG-4-0"]
    assert second.reason == "waiting for slice 3g.40gb: 0 of 1 free (1 held by jobs)"


def test_a_gpu_in_mig_mode_is_never_given_as_a_whole() -> None:
    assert indices(run([Wish(4)], CUT)[0]) == [0, 1, 2, 3]
    assert "has 4 that are not cut into slices: ask for at most 4" in refusal(Wish(5), CUT)
    assert "GPU 4 is cut into slices (2 × 2g.20gb, 1 × 3g.40gb)" in refusal(Wish((uuid(4),)), CUT)


# What passes whom


def test_a_later_job_that_fits_passes_one_that_waits_for_other_devices() -> None:
    big, slice_, named = run(
        [Wish((uuid(0),)), Wish(slices=("1g.10gb",)), Wish((uuid(1),))], CUT, held(0)
    )
    assert big.devices is None
    assert uuids(slice_) == ["MIG-5-1"] and indices(named) == [1]


def test_a_job_without_a_limit_does_not_pass_one_that_needs_what_is_free() -> None:
    at = resources(box(4))
    big, small = run([Wish(4), ONE], at, held(0, until_s=NOW_S + 60))
    assert big.reason == "waiting for 4 GPUs: 3 of 4 free (1 held by jobs)"
    assert small.reason == "waiting behind job 1: what is free is kept for it"


@pytest.mark.parametrize(("limit_s", "passes"), [(59.0, True), (60.0, True), (61.0, False)])
def test_a_job_passes_if_its_own_limit_ends_it_in_time(limit_s: float, passes: bool) -> None:
    at = resources(box(4))
    _, small = run([Wish(4), Wish(1, limit_s=limit_s)], at, held(0, until_s=NOW_S + 60))
    assert (small.devices is not None) == passes


def test_nobody_passes_on_devices_of_a_job_whose_start_nobody_can_tell() -> None:
    at = resources(box(4))
    _, small = run([Wish(4), Wish(1, limit_s=1.0)], at, held(0))
    assert small.devices is None


def test_what_is_beyond_the_promise_may_be_used_without_a_limit() -> None:
    at = resources(box(4))
    big, small, more = run([Wish(3), ONE, ONE], at, held(0, 1, until_s=NOW_S + 60))
    assert big.devices is None
    # Three of four are kept for the big one: of the two that are free one is left.
    assert [small.devices is None, more.devices is None] == [False, True]


def test_the_next_ones_are_protected_when_the_first_waits_for_one_named_gpu() -> None:
    at = resources(box(4))
    named, big, small = run([Wish((uuid(0),)), Wish(3), ONE], at, held(0, 1))
    assert named.devices is None and big.devices is None
    assert small.reason == "waiting behind job 2: what is free is kept for it"


def test_what_no_job_can_give_back_holds_nobody_up() -> None:
    at = resources(box(4), external=(3,))
    all_of_them, small = run([Wish(4), ONE], at)
    assert all_of_them.devices is None
    assert indices(small) == [0]


def test_a_job_beyond_its_limit_is_expected_to_end_at_any_moment() -> None:
    at = resources(box(4))
    _, small = run([Wish(4), Wish(1, limit_s=1.0)], at, held(0, until_s=NOW_S - 5))
    assert small.devices is None


def test_of_a_long_queue_only_the_first_are_told_who_is_before_them() -> None:
    decisions = run([ONE] * 100, PLAIN, held(*range(6)))
    assert "0 of 6 free" in decisions[0].reason
    assert {each.reason for each in decisions[EXPLAINED:]} == {
        "waiting for 1 GPU behind earlier jobs"
    }


# What can never run


def test_what_can_never_run_is_refused_with_what_would() -> None:
    assert refusal(Wish(7), PLAIN).endswith("this box has 6: ask for at most 6")
    assert "ask for 0 to 6" in refusal(Wish(-1), PLAIN)
    assert "GPU-none" in refusal(Wish(("GPU-none",)), PLAIN)
    assert "twice" in refusal(Wish((uuid(0), uuid(0))), PLAIN)
    assert refusal(Wish(6), resources(box(6), lost=(0, 1))) == ""
    assert "add --gpu-memory" in refusal(Wish(1, shared=True), PLAIN)


def test_too_much_memory_is_refused_with_the_largest_and_with_how_many_would_do() -> None:
    at = resources(cards("pcie"))
    assert refusal(Wish(1, memory_bytes=120 * GIB), at) == (
        "no GPU here has 120 GiB; the largest has 79.6 GiB: ask for --gpu-memory 79G or less,"
        " or for 2 GPUs with so much"
    )


def test_slices_that_are_not_there_are_refused_with_those_that_are() -> None:
    assert refusal(Wish(slices=("4g.40gb",)), CUT) == (
        "it asks for a slice 4g.40gb and this box has 0:"
        " there are 1 × 1g.10gb, 3 × 2g.20gb, 1 × 3g.40gb"
    )
    assert "asks for 4 slices 2g.20gb and this box has 3" in refusal(
        Wish(slices=("2g.20gb",) * 4), CUT
    )
    assert "no slice mig-7-7" in refusal(Wish(slices=("MIG-7-7",)), CUT)
    assert "no GPU of it is in MIG mode" in refusal(Wish(slices=("1g.10gb",)), PLAIN)


# Strangers and leftovers


def test_a_stranger_is_named_by_pid_and_user() -> None:
    assert resources(box(6), external=(0,)).devices[0].trouble == "EXTERNAL (pid 4242 of someone)"


@pytest.mark.parametrize(
    ("process", "tenancy", "trouble"),
    [
        (Process(5, "me", job="1"), Tenancy(holders={uuid(0): ["1"]}), ""),
        (Process(5, "me", job="1"), Tenancy(ended=["1"]), "LEAKED (pid 5 of me, left by job 1)"),
        (Process(5, "me", job="1"), Tenancy(ended=["1"], alive=lambda _: False), ""),
        (Process(5, "me", job="1"), Tenancy(holders={uuid(1): ["1"]}), "EXTERNAL (pid 5 of me)"),
        (Process(5, "x", kind="graphics"), Tenancy(), ""),
        (Process(5, None, start_ticks=7), Tenancy(), "EXTERNAL (pid 5 of unknown)"),
        (Process(5, None), Tenancy(holders={uuid(0): ["1"]}), ""),
    ],
)
def test_a_process_is_the_holders_own_a_leftover_or_a_stranger(
    process: Process, tenancy: Tenancy, trouble: str
) -> None:
    from dataclasses import replace

    from job_bench import snapshot

    from cockpit.agent.jobs.resources import survey

    seen = snapshot(2)
    gpus = (replace(seen.gpus[0], processes=(process,)), seen.gpus[1])
    assert survey(box(2), replace(seen, gpus=gpus), tenancy).devices[0].trouble == trouble
