"""Lines of a log: colours kept, escapes harmless, every byte accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cockpit.tui.widgets.log_text import LINE_BYTES, Piece, lines, pieces, rows


def test_colours_and_attributes_are_kept() -> None:
    found = pieces(b"\x1b[1;31mbad\x1b[0m ok \x1b[38;2;1;2;3mx\x1b[48;5;196my\x1b[m \x1b[7;92mz")
    assert [(piece.text, piece.ink) for piece in found] == [
        ("bad", "error bold"), (" ok ", ""), ("x", "#010203"), ("y", "#010203 on #ff0000"),
        (" ", ""), ("z", "success reverse"),
    ]  # fmt: skip


def test_a_piece_knows_where_it_stood_in_the_line() -> None:
    assert pieces(b"\x1b[32mgo\x1b[0m on") == [Piece("go", "success", 5), Piece(" on", "", 11)]


@given(st.binary(max_size=200))
def test_no_bytes_leave_a_control_character(line: bytes) -> None:
    text = "".join(piece.text for piece in pieces(line.replace(b"\n", b"")))
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text)
    text.encode()


@given(st.lists(st.sampled_from([b"ab\n", b"\n", b"c", b"\xc3\xa9"]), max_size=40), st.booleans())
def test_every_line_is_where_it_says(parts: list[bytes], later: bool) -> None:
    data = b"".join(parts)
    start = 1000 if later else 0
    for offset, line in lines(data, start):
        assert data[offset - start :][: len(line)] == line
    if not later:
        assert b"\n".join(line for _, line in lines(data, 0)) == data.removesuffix(b"\n")


def test_a_line_without_end_is_cut_and_not_within_a_letter() -> None:
    data = ("é" * LINE_BYTES).encode()
    found = lines(data, 0)
    assert b"".join(line for _, line in found) == data and len(found) > 1
    assert all(len(line) <= LINE_BYTES and line.decode() for _, line in found)


def test_of_a_progress_bar_only_the_last_states_are_left() -> None:
    bar = b"".join(b"\r%3d%%" % n for n in range(10_000))
    ((offset, line),) = lines(bar + b"\n", 0)
    assert line == b"9998%\r9999%" and bar[offset:] == line


@given(st.text(max_size=60), st.integers(1, 20))
def test_wrapping_loses_nothing_and_never_is_too_wide(text: str, width: int) -> None:
    from rich.cells import cell_len

    broken = rows([Piece(text, "", 0)], width)
    assert "".join(piece.text for row in broken for piece in row) == text
    for row in broken:
        characters = "".join(piece.text for piece in row)
        cells = sum(cell_len(piece.text) for piece in row)
        # A character wider than the log has a row of its own; one without a width may stand by it.
        assert cells <= width or sum(cell_len(each) > 0 for each in characters) == 1
