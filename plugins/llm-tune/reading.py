"""Rows out of files, each with the place where it stands: JSON lines, a JSON array or Parquet."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

SUFFIXES = (".jsonl", ".json", ".parquet", ".jsonl.gz", ".json.gz", ".ndjson")
PARQUET_ROWS = 1024
"""Rows of a Parquet file that are in memory at once."""
_SPACE = b" \t\r\n\xef\xbb\xbf"
"""Some editors put a byte order mark before the first line."""


@dataclass(frozen=True)
class Place:
    """Where a row stands; lines and rows are counted from 1."""

    file: Path
    number: int
    unit: str = "line"

    def __str__(self) -> str:
        shown = f"{self.number:,}" if self.unit == "row" else str(self.number)
        return (
            f"{self.file.name}:{shown}" if self.unit == "line" else f"{self.file.name} row {shown}"
        )


@dataclass(frozen=True)
class Row:
    """One row; `value` means nothing where there is a `problem`."""

    place: Place
    value: Any = None
    problem: str = ""


def files_of(path: Path) -> list[Path]:
    """`path` itself, or the files of data in that folder, by name.

    Raises ValueError, in words for the person, if there is none.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
        if not found:
            raise ValueError(f"{path} has no file of data: wants one of {', '.join(SUFFIXES)}.")
        return found
    if not path.exists():
        raise ValueError(f"There is no file {path}.")
    return [path]


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of one file, in order. Raises ValueError if it cannot be read at all."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            if head == b"PAR1":
                yield from _parquet(path)
            elif head[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    yield from _json(path, io.BufferedReader(unpacked))  # type: ignore[arg-type]
            else:
                yield from _json(path, file)
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None


def _json(path: Path, file: BinaryIO) -> Iterator[Row]:
    """Lines of JSON, or one array: whichever the first character says."""
    is_first = True
    for number, line in enumerate(file, start=1):
        if not line.strip(_SPACE):
            continue
        if is_first and line.lstrip(_SPACE).startswith(b"["):
            yield from _array(path, line + file.read(), number)
            return
        is_first = False
        yield _line(path, line, number)


def _line(path: Path, line: bytes, number: int) -> Row:
    place = Place(path, number)
    try:
        return Row(place, json.loads(line.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        byte = line[error.start]
        return Row(place, problem=f"byte 0x{byte:02x} at {error.start + 1} is no UTF-8")
    except json.JSONDecodeError as error:
        return Row(place, problem=f"is no JSON: {error.msg} at column {error.colno}")
    except RecursionError:
        return Row(place, problem="is nested too deeply")


def _array(path: Path, data: bytes, first: int) -> Iterator[Row]:
    """The elements of a JSON array, each at the line where it begins; `data` begins at `first`.

    After what is no JSON nobody knows where the next element is, so that is the last row.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = first + data.count(b"\n", 0, error.start)
        yield Row(Place(path, number), problem=f"byte 0x{data[error.start]:02x} is no UTF-8")
        return
    decoder = json.JSONDecoder()
    at = _after_space(text, text.index("[") + 1)
    number, counted = first, 0
    while not text.startswith("]", at):
        number += text.count("\n", counted, at)
        counted = at
        place = Place(path, number)
        try:
            value, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            where = error.lineno + first - 1 if isinstance(error, json.JSONDecodeError) else number
            what = getattr(error, "msg", "nested too deeply")
            yield Row(Place(path, where), problem=f"is no JSON: {what}; the rest was not read")
            return
        yield Row(place, value)
        at = _after_space(text, at)
        if text.startswith(",", at):
            at = _after_space(text, at + 1)
        elif not text.startswith("]", at):
            yield Row(_at(path, text, at, first), problem="is no JSON: wants , or ] here")
            return
    at = _after_space(text, at + 1)
    if at < len(text):
        yield Row(_at(path, text, at, first), problem="stands after the end of the array")


def _at(path: Path, text: str, at: int, first: int) -> Place:
    return Place(path, first + text.count("\n", 0, at))


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{path} is Parquet, and pyarrow is not installed here.") from None
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for value in batch.to_pylist():
                    number += 1
                    # A column that other rows have is null in this one.
                    known = {key: each for key, each in value.items() if each is not None}
                    yield Row(Place(path, number, "row"), known)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} cannot be read after row {number:,}: {error}") from None
