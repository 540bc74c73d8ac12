"""The plain status page: aligned, honest about what is unreadable, with advice below."""

from dataclasses import replace

from cli_boxes import a_box, a_gpu, a_lost_gpu, a_process, a_snapshot

from cockpit.cli.status import exit_code, plain
from cockpit.model import Reason


def test_every_gpu_is_one_line_under_its_head() -> None:
    lines = plain(a_box(), a_snapshot(a_gpu(0), a_gpu(1))).splitlines()
    assert len(lines) == 1 + 1 + 2 + 1
    head, first = lines[1], lines[2]
    for word, value in (("UTIL %", "98"), ("MEMORY GiB", "40.0 / 80.0"), ("MHz", "1755")):
        end = head.index(word) + len(word)
        assert first[:end].endswith(value), word
    assert first.startswith("  0  ") and first.endswith("  ok")


def test_what_could_not_be_read_is_a_dash_and_never_zero() -> None:
    row = plain(a_box(), a_snapshot(a_lost_gpu(0))).splitlines()[2]
    assert row.split()[:4] == ["0", "—", "/", "—"]
    assert "0.0" not in row and row.endswith("lost")


def test_a_simulated_box_is_called_so() -> None:
    page = plain(a_box(source="simulated"), a_snapshot(a_gpu()))
    assert "SIMULATED" in page.splitlines()[0]
    assert "SIMULATED" not in plain(a_box(), a_snapshot(a_gpu()))


def test_reasons_stand_below_with_their_advice() -> None:
    page = plain(a_box(), a_snapshot(a_gpu(0), a_lost_gpu(1)))
    last = page.splitlines()[-1]
    assert last == "critical  GPU 1 is lost since 14:03: restart the machine"


def test_throttling_and_jobs_stand_beside_the_state() -> None:
    gpu = a_gpu(throttle_reasons=("idle", "power_cap"), processes=(a_process("cfd-1"),))
    assert plain(a_box(), a_snapshot(gpu)).splitlines()[2].endswith("ok · power cap · job cfd-1")


def test_a_box_with_a_problem_says_it_and_what_to_do() -> None:
    info = a_box(0, problem="the driver went away", advice="load it again")
    page = plain(info, a_snapshot())
    assert page.splitlines()[1:] == ["the driver went away", "  load it again"]


def test_the_exit_code_tells_whether_someone_must_act() -> None:
    warned = replace(a_gpu(), state="warning", reasons=(Reason("ecc", "warning", "errors"),))
    assert exit_code(a_box(), a_snapshot(a_gpu(), warned)) == 0
    assert exit_code(a_box(), a_snapshot(a_gpu(), a_lost_gpu(1))) == 1
    assert exit_code(a_box(), a_snapshot(replace(a_gpu(), state="critical"))) == 1
    assert exit_code(a_box(0, problem="no driver"), a_snapshot()) == 1


def test_a_line_of_a_quiet_gpu_fits_eighty_columns() -> None:
    lines = plain(a_box(), a_snapshot(a_gpu(0, throttle_reasons=("idle",)))).splitlines()
    assert max(map(len, lines[1:])) <= 80
