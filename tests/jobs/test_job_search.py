"""Searching a log: every match, once, whatever the borders of the parts it is read in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_bench import Bench

from cockpit.agent.jobs import logs, search
from cockpit.agent.jobs.search import Query, SearchError, search_apart
from cockpit.agent.jobs.shim import segments
from cockpit.protocol import RpcError


def reading(data: bytes) -> search.Read:
    return lambda offset, limit: data[offset : offset + limit]


@given(st.lists(st.sampled_from([b"ab", b"a", b"\n", b"B"])), st.integers(1, 9), st.booleans())
def test_every_match_is_found_once_whatever_the_chunks(
    parts: list[bytes], chunk: int, backwards: bool
) -> None:
    data = b"".join(parts)
    wanted = [(m.start(), 2) for m in re.finditer(b"ab", data)]
    query = Query("Ab".replace("A", "a"), 0, len(data), backwards=backwards, limit=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "CHUNK_BYTES", chunk)
        found = search.search(reading(data), query)
    lower = [(m.start(), 2) for m in re.finditer(b"ab", data.lower())]
    assert sorted(found.matches) == lower and found.count == len(lower) >= len(wanted)
    assert found.matches == sorted(found.matches, reverse=backwards)


def test_a_pattern_with_a_capital_means_it() -> None:
    data = b"error Error ERROR"
    assert search.search(reading(data), Query("error", 0, 17)).count == 3
    assert search.search(reading(data), Query("Error", 0, 17)).matches == [(6, 5)]


def test_a_line_begins_only_where_a_line_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK_BYTES", 4)
    data = b"abcdabcd\nabcd\n"
    assert search.search(reading(data), Query("^abcd", 0, 14, regex=True)).matches == [
        (0, 4),
        (9, 4),
    ]


def test_an_expression_is_searched_over_what_rotation_has_put_aside(tmp_path: Path) -> None:
    dropped, segment, live = b"x" * 99 + b"\n", b"step 1 loss nan\nste", b"p 22 loss 0.5\n"
    (tmp_path / "output.log").write_bytes(dropped + segment + live)
    (tmp_path / "dropped.json").write_text('{"kept_from": 100}')
    (tmp_path / segments.name(100, 119)).write_bytes(segments.pack(segment))
    assert logs.reader(tmp_path)(112, 12) == b"nan\nstep 22 "
    assert logs.reader(tmp_path)(97, 5) == b"\0\0\0st"
    found = search_apart(tmp_path, Query(r"step \d\d", 100, 133, regex=True, oldest=100))
    assert found.matches == [(116, 7)] and (found.count, found.reached) == (1, 133)


def test_an_expression_that_never_ends_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "REGEX_LIMIT_S", 0.5)
    (tmp_path / "output.log").write_bytes(b"a" * 40 + b"!")
    with pytest.raises(SearchError, match="took more than"):
        search_apart(tmp_path, Query("(a+)+$", 0, 41, regex=True))


@pytest.mark.parametrize(("pattern", "regex"), [("", False), ("(", True), ("x*", True)])
def test_a_pattern_that_makes_no_sense_is_said(pattern: str, regex: bool) -> None:
    with pytest.raises(SearchError):
        search.check(pattern, regex)


async def test_a_log_is_searched_part_by_part(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "CALL_BYTES", 40)
    job = await bench.end(
        await bench.submit("bash", "-c", "for i in {1..9}; do echo line $i; done")
    )
    first = await bench.call("job.search", id=job.id, pattern="LINE", offset=0)
    assert first["matches"] == [] and (first["reached"], first["done"]) == (40, False)
    first = await bench.call("job.search", id=job.id, pattern="line", offset=0, limit=2)
    assert first["matches"] == [(0, 4), (7, 4)] and first["size"] == 63
    offset, count, done = 0, 0, False
    while not done:
        part = await bench.call("job.search", id=job.id, pattern="line", offset=offset, limit=0)
        offset, count, done = part["reached"], count + part["count"], part["done"]
    assert (offset, count) == (63, 9)
    last = await bench.call(
        *("job.search",), id=job.id, pattern="line", offset=60, backwards=True, limit=1
    )
    assert last["matches"] == [(56, 4)]
    expression = await bench.call(
        "job.search", id=job.id, pattern="line [78]", offset=0, regex=True
    )
    assert expression["matches"] == [(42, 6), (49, 6)]
    with pytest.raises(RpcError, match="no regular expression"):
        await bench.call("job.search", id=job.id, pattern="(", offset=0, regex=True)
