"""Text as pre-training reads it: piece by piece, mixed, and the same after any halt. No torch."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Modules = Callable[[str], Any]
END = 0x110000
MANY = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def letters(texts: Sequence[str]) -> list[list[int]]:
    """A tokenizer for which each character is a token."""
    return [[ord(letter) for letter in text] for text in texts]


def json_lines(path: Path, texts: Sequence[str]) -> Path:
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts))
    return path


def pieces(modules: Modules, path: Path, *given: Any, size: int = 32_768) -> list[Any]:
    documents = modules("documents")
    return list(documents.pieces_of(documents.files_of(path), "text", *given, size=size))


@MANY
@given(text=st.text(min_size=1, max_size=400), size=st.integers(1, 50))
def test_plain_text_is_whole_when_its_pieces_are_put_together_and_from_any_of_them(
    train_module: Modules, tmp_path: Path, text: str, size: int
) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(text.encode())
    text = text.removeprefix("\ufeff")
    read = pieces(train_module, path, size=size)
    assert "".join(piece.text for piece in read) == text
    assert [piece.ends for piece in read] == [False] * (len(read) - 1) + [True]
    assert not any(piece.problem for piece in read)
    for at, piece in enumerate(read):
        assert pieces(train_module, path, piece.after, size=size) == read[at + 1 :]


@pytest.mark.parametrize("packed", [False, True])
def test_rows_of_json_lines_go_on_from_any_place(
    train_module: Modules, tmp_path: Path, packed: bool
) -> None:
    path = json_lines(tmp_path / "rows.jsonl", ["one", "two\nlines", "", "vier ü"])
    if packed:
        data = path.read_bytes()
        path.unlink()
        path = tmp_path / "rows.jsonl.gz"
        path.write_bytes(gzip.compress(data))
    read = pieces(train_module, path)
    assert [piece.text for piece in read] == ["one", "two\nlines", "", "vier ü"]
    assert [piece.after.line for piece in read] == [1, 2, 3, 4]
    for at, piece in enumerate(read):
        assert pieces(train_module, path, piece.after) == read[at + 1 :]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "is no JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"[1]", 'is no object: wants one such as {"text": …}'),
        (b'{"content": "x"}', "has no 'text', only content: name the right one with --text-key"),
        (b'{"text": 3}', "has a int and no text as 'text'"),
        (b'{"text": "\\ud800"}', "half a character"),
        (b'{"text": "\xff"}', "byte 0xff at 11 is no UTF-8"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_bad_line_is_told_by_file_and_number(
    train_module: Modules, tmp_path: Path, line: bytes, words: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "good"}\n\n' + line + b'\n{"text": "good"}\n')
    good, bad, after = pieces(train_module, path)
    assert bad.problem.startswith("rows.jsonl:3: ") and words in bad.problem
    assert (good.text, after.text) == ("good", "good") and not after.problem


def test_bad_utf8_in_plain_text_is_told_by_file_and_line(
    train_module: Modules, tmp_path: Path
) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"one\ntwo\nthr\xc3(e\n")
    (bad,) = pieces(train_module, path)
    assert bad.problem == "book.txt:3: byte 0xc3 at 4 is no UTF-8"


@pytest.mark.parametrize("name", ["nothing.txt", "folder", "image.png"])
def test_what_cannot_be_data_is_refused_in_words(
    train_module: Modules, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "image.png").write_bytes(b"")
    with pytest.raises(ValueError, match=name):
        train_module("documents").files_of(tmp_path / name)


def feed(modules: Modules, path: Path, mix: int = 1, every: int = 0, skip: bool = False) -> Any:
    source = modules("feed").Source([path], "text", skip, every)
    return modules("feed").Feed(source, letters, END, 5, mix, seed=7)


def test_each_token_but_the_first_is_predicted_once_in_the_order_of_the_data(
    train_module: Modules, tmp_path: Path
) -> None:
    path = json_lines(tmp_path / "rows.jsonl", ["abc", "defgh"])
    rows = feed(train_module, path).rows(4)
    read = rows[0].tolist() + [token for row in rows[1:] for token in row[1:]]
    once = [*map(ord, "abc"), END, *map(ord, "defgh"), END]
    assert read == (once * 2)[:17]
    assert all(row[0] == before[-1] for before, row in itertools.pairwise(rows))


@MANY
@given(
    texts=st.lists(st.text(max_size=30), min_size=1, max_size=150).filter(any),
    halt=st.integers(0, 40),
    mix=st.integers(0, 20),
)
def test_a_feed_that_goes_on_from_a_saved_place_gives_the_same_rows(
    train_module: Modules, tmp_path: Path, texts: list[str], halt: int, mix: int
) -> None:
    texts = [text.encode("utf-8", "ignore").decode() or "x" for text in texts]
    path = json_lines(tmp_path / "rows.jsonl", texts)
    whole = feed(train_module, path, mix)
    whole.rows(halt)
    saved = json.loads(json.dumps(whole.place.saved()))
    other = feed(train_module, path, mix)
    other.go_on(train_module("feed").Place.loaded(saved))
    assert whole.rows(30) == other.rows(30)


def test_mixed_rows_are_those_of_the_data_in_another_order(
    train_module: Modules, tmp_path: Path
) -> None:
    path = json_lines(tmp_path / "rows.jsonl", ["".join(map(chr, range(1000, 1400)))])
    plain = feed(train_module, path).rows(90)
    mixed = feed(train_module, path, mix=30).rows(60)
    assert mixed != plain[:60]
    assert {tuple(row) for row in mixed} <= {tuple(row) for row in plain}
    assert len({tuple(row) for row in mixed}) == 60


def test_what_is_held_out_is_never_learned(train_module: Modules, tmp_path: Path) -> None:
    texts = [chr(1000 + at) * 9 for at in range(30)]
    path = json_lines(tmp_path / "rows.jsonl", texts)
    feeding = feed(train_module, path, every=10)
    learned = {token for row in feeding.rows(200) for token in row}
    source = train_module("feed").Source([path], "text", False, 10)
    held = train_module("feed").held_out_rows(source, letters, END, 5, 1000)
    held_out = {token for row in held for token in row}
    assert held_out - {END} == {1009, 1019, 1029}
    assert learned & held_out == {END} and feeding.place.epoch > 0


def test_a_bad_row_ends_the_feed_or_is_left_out_and_counted(
    train_module: Modules, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "abcdefgh"}\n{"text": 1}\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl:2: has a int .*--skip-bad"):
        feed(train_module, path).rows(3)
    skipping = feed(train_module, path, skip=True)
    assert len(skipping.rows(3)) == 3
    assert skipping.place.skipped > 0


def test_data_without_any_text_is_refused(train_module: Modules, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("")
    with pytest.raises(ValueError, match="no text"):
        feed(train_module, path).rows(1)


@pytest.mark.parametrize("kind", ["wsd", "cosine"])
def test_the_learning_rate_rises_stays_and_falls(train_module: Modules, kind: str) -> None:
    schedule = train_module("schedule").Schedule(kind, 100, 10, 20, 0.1)
    shares = [schedule.share(step) for step in range(100)]
    assert shares[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert shares[10] == 1.0 and max(shares) == 1.0
    assert schedule.share(100) == pytest.approx(0.1)
    assert all(later <= before for before, later in itertools.pairwise(shares[10:]))
    if kind == "wsd":
        assert shares[80] == 1.0 and shares[90] == pytest.approx(0.55)
    else:
        assert shares[55] == pytest.approx(0.55)


def test_one_dial_makes_larger_models_that_can_be_split(train_module: Modules) -> None:
    sizes = train_module("sizes")
    shapes = [*(sizes.of_depth(layers) for layers in range(1, 65)), *sizes.SIZES.values()]
    for shape in shapes:
        assert shape.width % shape.heads == 0 and shape.heads % shape.kv_heads == 0
        assert shape.head % 2 == 0 and shape.inner % 64 == 0
    counts = [shape.parameters for shape in shapes[:64]]
    assert counts == sorted(counts)


def test_python_brings_text_to_learn_from(train_module: Modules, tmp_path: Path) -> None:
    path = train_module("topics").write(tmp_path)
    read = pieces(train_module, path)
    assert sum(len(piece.text) for piece in read) > 300_000
    assert not any(piece.problem for piece in read)
