"""Times, figures, charts and names as people write and read them."""

import time

import pytest
from cli_boxes import a_box, uuid

from cockpit.cli.chart import chart
from cockpit.cli.gpus import find_gpu
from cockpit.cli.history import readable
from cockpit.cli.text import duration, figure, parse_duration, parse_time, table
from cockpit.errors import UsageError
from cockpit.model import Series

NOW = time.mktime((2026, 11, 24, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("1d12h", 129600), ("0.5h", 1800)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text, "--since") == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1h", "0", "2 h", "1h30", "inf", "nan", "9" * 30])
def test_what_is_no_length_of_time_names_its_option(text: str) -> None:
    with pytest.raises(UsageError, match="--for"):
        parse_duration(text, "--for")


@pytest.mark.parametrize(
    ("text", "before_now"),
    [
        ("2h", 7200),
        ("now", 0),
        ("11:30", 1800),
        ("13:00", 23 * 3600),
        ("2026-11-24", 12 * 3600),
        ("2026-11-24 11:59", 60),
        ("2026-11-24T11:59:30", 30),
    ],
)
def test_moments(text: str, before_now: float) -> None:
    assert parse_time(text, "--since", NOW) == NOW - before_now


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "25:00", ""])
def test_what_is_no_moment_names_its_option(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        parse_time(text, "--since", NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (725, "12 min 5 s"),
        (12000, "3 h 20 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_unreadable_figure_is_a_dash() -> None:
    assert (figure(None), figure(0.0), figure(1.26, 1)) == ("—", "0", "1.3")


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert (
        table(("A", "B"), (("12345", "x"), ("1", "yy")), left=(1,))
        == "    A  B\n12345  x\n    1  yy"
    )


def series(metric: str, *values: float | None) -> Series:
    times = tuple(float(index) for index in range(len(values)))
    return Series(uuid(0), metric, 1.0, times, values, values, values)


def test_percent_is_drawn_on_a_scale_of_a_hundred() -> None:
    lines = chart(series("utilization_percent", 0, 50, 100, None), 0, 4, 4)
    assert lines[0] == "100 │  █"
    assert lines[-1] == "  0 │ ██·"


def test_a_point_fills_the_columns_it_lasts_for() -> None:
    lines = chart(series("utilization_percent", 100, None, 100), 0, 3, 9)
    assert lines[-1] == "  0 │███···███"


def test_other_figures_have_a_round_top() -> None:
    assert chart(series("power_w", 312, 200), 0, 2, 2)[0].split()[0] == "400"


def test_a_small_figure_is_told_from_none() -> None:
    assert chart(series("utilization_percent", 0.1, 0), 0, 2, 2)[-1] == "  0 │▁"


@pytest.mark.parametrize("text", ["1", uuid(1), "GPU-00000001", "00000001", "gpu-00000001"])
def test_a_gpu_goes_by_index_uuid_or_its_beginning(text: str) -> None:
    assert find_gpu(a_box(10), text).index == 1


@pytest.mark.parametrize("text", ["10", "GPU-0000000", "x", "", "-1", "GPU-"])
def test_no_gpu_or_more_than_one_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        find_gpu(a_box(10), text)


def test_a_page_is_in_units_that_people_read() -> None:
    scaled, unit = readable(series("memory_used_bytes", 3 << 30, None))
    assert (scaled.mean, unit) == ((3.0, None), "GiB")
    assert readable(series("nvlink_rx_bytes_per_s", 2e9))[1] == "GB/s"
    assert readable(series("throttle_mask", 4)) == (series("throttle_mask", 4), "")
