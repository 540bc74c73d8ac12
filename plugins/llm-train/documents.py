"""Text out of files, piece by piece, each with the exact place after it: to go on from there.

Plain text, JSON lines and Parquet, the first two also gzipped. Nothing is read that is not asked
for, so that data may be larger than memory.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

SUFFIXES = (
    *(".txt", ".md", ".jsonl", ".ndjson", ".parquet"),
    *(".txt.gz", ".md.gz", ".jsonl.gz", ".ndjson.gz"),
)
PIECE_BYTES = 32_768
"""Of plain text that are one piece; a row of the other formats is one, however long."""
PARQUET_ROWS = 256
"""Rows of a Parquet file that are in memory at once."""


@dataclass(frozen=True)
class Position:
    """A place between two pieces of the data."""

    file: int = 0
    offset: int = 0
    """Bytes into the file, unpacked; rows in Parquet."""
    line: int = 0
    """Lines or rows before it in this file."""
    piece: int = 0
    """Pieces before it in all files."""


@dataclass(frozen=True)
class Piece:
    """Some text, or what is wrong with it; and where it ends."""

    text: str
    after: Position
    ends: bool = True
    """Whether its document ends with it: plain text is one document for each file."""
    problem: str = ""
    """In words, with the file and the line."""


def files_of(path: Path) -> list[Path]:
    """`path` itself, or the files of text in that folder and those below, by name.

    Raises ValueError, in words for the person, if there is none.
    """
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES))
        if not found:
            raise ValueError(f"{path} has no file of text: wants one of {', '.join(SUFFIXES)}.")
        return found
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    if not path.name.endswith(SUFFIXES):
        raise ValueError(f"{path} is of no kind that is read: wants one of {', '.join(SUFFIXES)}.")
    return [path]


def pieces_of(
    files: list[Path], key: str, start: Position | None = None, size: int = PIECE_BYTES
) -> Iterator[Piece]:
    """The pieces from `start` to the end of the last file, in order.

    `key` names the text in a row of JSON or Parquet. Raises ValueError, in words for the person, if
    a file cannot be read at all; what is wrong with one row is told in its piece.
    """
    at = start or Position()
    while at.file < len(files):
        path = files[at.file]
        try:
            for piece in _pieces(path, key, at, size):
                yield piece
                at = piece.after
        except (OSError, EOFError) as error:
            raise ValueError(f"{path} cannot be read: {error}.") from None
        at = Position(file=at.file + 1, piece=at.piece)


def _pieces(path: Path, key: str, at: Position, size: int) -> Iterator[Piece]:
    if path.name.endswith(".parquet"):
        yield from _parquet(path, key, at)
        return
    is_text = path.name.removesuffix(".gz").endswith((".txt", ".md"))
    with path.open("rb") as packed:
        if path.name.endswith(".gz"):
            with gzip.open(packed) as file:
                file.seek(at.offset)
                yield from _read(path, file, key, at, size, is_text)  # type: ignore[arg-type]
        else:
            packed.seek(at.offset)
            yield from _read(path, packed, key, at, size, is_text)


def _read(
    path: Path, file: BinaryIO, key: str, at: Position, size: int, is_text: bool
) -> Iterator[Piece]:
    if is_text:
        yield from _plain(path, file, at, size)
    else:
        yield from _json_lines(path, file, key, at)


def _plain(path: Path, file: BinaryIO, at: Position, size: int) -> Iterator[Piece]:
    """Pieces of about `size` bytes that end with a line, or inside of one that is longer."""
    data = file.read(size)
    while data:
        data += file.readline(size)
        data += _rest_of_character(data, file)
        following = file.read(size)
        after = replace(
            at,
            offset=at.offset + len(data),
            line=at.line + data.count(b"\n"),
            piece=at.piece + 1,
        )
        try:
            text, problem = data.decode("utf-8-sig" if at.offset == 0 else "utf-8"), ""
        except UnicodeDecodeError as error:
            line = at.line + data.count(b"\n", 0, error.start) + 1
            text, problem = "", f"{path.name}:{line}: {_no_utf8(data, error)}"
        yield Piece(text, after, not following, problem)
        data, at = following, after


def _rest_of_character(data: bytes, file: BinaryIO) -> bytes:
    """What is missing of a UTF-8 character at the end of `data`, read from the file."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return file.read(max(0, wanted - back))
        if byte < 0x80:
            break
    return b""


def _json_lines(path: Path, file: BinaryIO, key: str, at: Position) -> Iterator[Piece]:
    for line in file:
        at = replace(at, offset=at.offset + len(line), line=at.line + 1)
        if not line.strip(b" \t\r\n\xef\xbb\xbf"):
            continue
        at = replace(at, piece=at.piece + 1)
        text, problem = _text_of_line(line, key)
        yield Piece(text, at, problem=problem and f"{path.name}:{at.line}: {problem}")


def _text_of_line(line: bytes, key: str) -> tuple[str, str]:
    """The text, or what is wrong."""
    try:
        row = json.loads(line.rstrip(b"\r\n").decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return "", _no_utf8(line, error)
    except json.JSONDecodeError as error:
        return "", f"is no JSON: {error.msg} at column {error.colno}"
    except RecursionError:
        return "", "is nested too deeply"
    if not isinstance(row, dict):
        return "", f"is no object: wants one such as {{{json.dumps(key)}: …}}"
    return _text_of_row(row, key)


def _text_of_row(row: dict[str, Any], key: str) -> tuple[str, str]:
    value = row.get(key)
    if not isinstance(value, str):
        there = ", ".join(list(row)[:8]) or "nothing"
        what = "no" if value is None else f"a {type(value).__name__} and no text as"
        return "", f"has {what} {key!r}, only {there}: name the right one with --text-key"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "", "has half a character (a lone surrogate)"
    return value, ""


def _no_utf8(data: bytes, error: UnicodeDecodeError) -> str:
    column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
    return f"byte 0x{data[error.start]:02x} at {column} is no UTF-8"


def _parquet(path: Path, key: str, at: Position) -> Iterator[Piece]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{path} is Parquet, and pyarrow is not installed here.") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if key not in file.schema_arrow.names:
                names = ", ".join(file.schema_arrow.names[:8])
                raise ValueError(
                    f"{path} has no column {key!r}, only {names}: name it with --text-key."
                )
            group, skipped = _group_of(file.metadata, at.offset)
            groups = range(group, file.num_row_groups)
            for batch in file.iter_batches(PARQUET_ROWS, row_groups=groups, columns=[key]):
                if skipped >= len(batch):
                    skipped -= len(batch)
                    continue
                for value in batch.column(0)[skipped:].to_pylist():
                    row = at.line + 1
                    at = replace(at, offset=row, line=row, piece=at.piece + 1)
                    text, problem = _text_of_row({key: value}, key)
                    yield Piece(text, at, problem=problem and f"{path.name} row {row}: {problem}")
                skipped = 0
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} cannot be read after row {at.line:,}: {error}") from None


def _group_of(metadata: Any, row: int) -> tuple[int, int]:
    """The row group in which `row` is, and how many of its rows are before that."""
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        if row < count:
            return group, row
        row -= count
    return metadata.num_row_groups, 0
