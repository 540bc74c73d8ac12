"""Pictures in real pixels: what is sent, what is understood, and that others can read it."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from story_box import picture

from cockpit.tui.graphics import kitty, raster, sixel
from cockpit.tui.graphics.detect import BLOCKS, Graphics, understand

CELL = b"\x1b[6;18;9t"


@pytest.mark.parametrize(
    ("answer", "graphics"),
    [
        (b"", BLOCKS),
        (CELL + b"\x1b[?62;22c", Graphics("blocks", 9, 18)),
        (CELL + b"\x1b[?62;4;22c", Graphics("sixel", 9, 18)),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.35.2)\x1b\\" + CELL + b"\x1b[?62;c", Graphics("kitty", 9, 18)),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.26.5)\x1b\\\x1b[?62;c", BLOCKS),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|ghostty 1.1.3\x1b\\\x1b[?62;c", Graphics("kitty")),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|WezTerm 2024\x1b\\\x1b[?65;4;6c", Graphics("sixel")),
        (b"\x1b[6;9999;0t\x1b[?62;4c", Graphics("sixel")),
    ],
)  # fmt: skip
def test_what_a_terminal_answers_is_understood(answer: bytes, graphics: Graphics) -> None:
    assert understand(answer) == graphics


def test_the_image_that_kitty_is_sent_is_whole_and_in_chunks() -> None:
    shown = raster.decode(picture())
    png = raster.to_png(shown, 900, 600) + bytes(9000)
    sequences = list(kitty.send(png, 77, 30, 10))
    bodies = [re.fullmatch("\x1b_G([^;]*);([^\x1b]*)\x1b\\\\", each) for each in sequences]
    assert all(body is not None and len(body[2]) <= kitty.CHUNK for body in bodies)
    keys = [dict(pair.split("=") for pair in body[1].split(",")) for body in bodies if body]
    assert [entry["m"] for entry in keys] == ["1"] * (len(keys) - 1) + ["0"]
    assert {"a": "T", "U": "1", "i": "77", "c": "30", "r": "10"}.items() <= keys[0].items()
    assert base64.b64decode("".join(body[2] for body in bodies if body)) == png
    assert Image.open(io.BytesIO(png)).size == (96, 48)


def test_kitty_counts_its_cells_by_marks() -> None:
    marks = kitty.marks()
    assert [f"{ord(mark):04X}" for mark in marks[:4]] == ["0305", "030D", "030E", "0310"]
    assert (f"{ord(marks[-1]):04X}", len(set(marks))) == ("1DE6", 197)
    assert kitty.row(2, 2) == f"{kitty.PLACEHOLDER}\u030e\u0305{kitty.PLACEHOLDER}\u030e\u030d"
    assert kitty.colour(0x123456) == (0x12, 0x34, 0x56)


def read_sixel(text: str) -> tuple[int, int, dict[tuple[int, int], int]]:
    """Width, height and the register of every pixel that was drawn; written for this test."""
    body = re.fullmatch('\x1bP[0-9;]*q"1;1;(\\d+);(\\d+)(.*)\x1b\\\\', text, re.DOTALL)
    assert body is not None
    pixels: dict[tuple[int, int], int] = {}
    x = top = register = 0
    for count, letter, chosen, break_ in re.findall(
        r"(?:!(\d+))?([?-~])|#(\d+)(?:;2;\d+;\d+;\d+)?|([$-])", body[3]
    ):
        if chosen:
            register = int(chosen)
        elif break_:
            x, top = 0, top + 6 * (break_ == "-")
        else:
            end = x + int(count or 1)
            bits = [bit for bit in range(6) if (ord(letter) - 63) >> bit & 1]
            pixels |= {(at, top + bit): register for at in range(x, end) for bit in bits}
            x = end
    return int(body[1]), int(body[2]), pixels


@given(st.integers(1, 9), st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_every_pixel_of_a_sixel_is_drawn_once_and_in_its_colour(
    width: int, values: list[int]
) -> None:
    values = (values * width)[: max(len(values) // width, 1) * width]
    text = sixel.encode(bytes(values), width, bytes(range(18)))
    wide, high, pixels = read_sixel(text)
    assert (wide, high) == (width, len(values) // width)
    assert pixels == {(at % width, at // width): value for at, value in enumerate(values)}


def test_pixels_that_are_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="5 pixels are no rows of 2"):
        sixel.encode(bytes(5), 2, b"")


@pytest.mark.skipif(shutil.which("sixel2png") is None, reason="libsixel's sixel2png is not here")
def test_libsixel_reads_the_picture_as_it_was(tmp_path: Path) -> None:
    shown = raster.decode(picture())
    (tmp_path / "in.six").write_text(raster.to_sixel(shown, 96, 48))
    files = ["-i", str(tmp_path / "in.six"), "-o", str(tmp_path / "out.png")]
    subprocess.run(["sixel2png", *files], check=True, timeout=60)
    back = Image.open(tmp_path / "out.png").convert("RGB")
    assert back.size == (96, 48)
    apart = [abs(a - b) for a, b in zip(back.tobytes(), shown.image.tobytes(), strict=True)]
    assert sum(apart) / len(apart) < 20


@pytest.mark.parametrize("data", [b"", b"GIF89a", picture()[:60], b"\x89PNG\r\n\x1a\nrubbish"])
def test_a_file_that_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        raster.decode(data)


def test_a_picture_keeps_its_shape_in_cells_of_any_size() -> None:
    shown = raster.decode(picture())
    assert shown.fit(80, 40, BLOCKS) == (80, 20)
    assert shown.fit(80, 40, Graphics("kitty", 10, 20)) == (80, 20)
    assert shown.fit(80, 5, Graphics("sixel", 8, 16)) == (20, 5)
