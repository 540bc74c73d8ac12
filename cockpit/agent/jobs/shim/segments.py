"""A finished part of a log, compressed: a gzip file that any tool reads, and that can be read from
its middle.

Each block is a gzip member (RFC 1952) of its own, whose extra field `CK` holds two little-endian
32-bit sizes: of the block's text, and of the whole member. So the blocks can be walked through
without being unpacked.
"""

from __future__ import annotations

import os
import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK_BYTES = 1 << 20
_HEADER = struct.Struct("<4sIBBH2sHII")
_TRAILER = struct.Struct("<II")
_MAGIC = b"\x1f\x8b\x08\x04"
_UNKNOWN_SYSTEM = 255
_LEVEL = 1


def name(start: int, end: int) -> str:
    """Of the file that holds bytes `start` to `end` of all that was ever logged."""
    return f"output.{start:015d}-{end:015d}.log.gz"


def listed(names: Iterable[str]) -> list[tuple[int, int]]:
    """The (start, end) of every segment among file names, in order."""
    found = []
    for each in names:
        if each.startswith("output.") and each.endswith(".log.gz"):
            start, _, end = each[len("output.") : -len(".log.gz")].partition("-")
            if start.isdecimal() and end.isdecimal():
                found.append((int(start), int(end)))
    return sorted(found)


def pack(block: bytes) -> bytes:
    """One member."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(block) + packer.flush()
    size = _HEADER.size + len(body) + _TRAILER.size
    head = _HEADER.pack(_MAGIC, 0, 0, _UNKNOWN_SYSTEM, 12, b"CK", 8, len(block), size)
    return head + body + _TRAILER.pack(zlib.crc32(block), len(block))


def read(path: str, offset: int, limit: int) -> bytes:
    """Up to `limit` bytes from `offset` of a segment's text. Raises OSError, or ValueError if it
    is damaged."""
    found, at = bytearray(), 0
    with open(path, "rb") as file:  # noqa: PTH123
        while len(found) < limit and (head := file.read(_HEADER.size)):
            text_bytes, member_bytes = _sizes(head)
            if at + text_bytes <= offset:
                file.seek(member_bytes - _HEADER.size, os.SEEK_CUR)
            else:
                block = _unpacked(file.read(member_bytes - _HEADER.size), text_bytes)
                start = max(offset - at, 0)
                found += block[start : start + limit - len(found)]
            at += text_bytes
    return bytes(found)


def _sizes(head: bytes) -> tuple[int, int]:
    if len(head) < _HEADER.size or head[:4] != _MAGIC:
        raise ValueError("not a block of a log")
    text_bytes, member_bytes = _HEADER.unpack(head)[-2:]
    if member_bytes < _HEADER.size + _TRAILER.size:
        raise ValueError("not a block of a log")
    return text_bytes, member_bytes


def _unpacked(rest: bytes, text_bytes: int) -> bytes:
    try:
        block = zlib.decompress(rest[: -_TRAILER.size], -zlib.MAX_WBITS)
        whole = _TRAILER.unpack(rest[-_TRAILER.size :]) == (zlib.crc32(block), text_bytes)
    except (zlib.error, struct.error):
        whole = False
    if not whole:
        raise ValueError("a block of the log is damaged")
    return block
