"""What a cubin says of its kernels: it is an ELF file, and NVIDIA's tools are not needed for this."""

from __future__ import annotations

import struct
from pathlib import Path

_REGISTERS = 0x2F
"""EIATTR_REGCOUNT: the registers that a thread of a kernel takes."""
_FRAME_SIZE = 0x11
"""EIATTR_FRAME_SIZE: the local memory of a function's frame, which is where spills go."""


def registers(path: Path) -> list[int]:
    """Registers per thread of each kernel."""
    return _attribute(path, _REGISTERS)


def frame_bytes(path: Path) -> list[int]:
    """The local memory of each function, in bytes per thread."""
    return _attribute(path, _FRAME_SIZE)


def _attribute(path: Path, wanted: int) -> list[int]:
    (attributes,) = (data for name, data in _sections(path.read_bytes()) if name == ".nv.info")
    found, place = [], 0
    while place < len(attributes):
        form, attribute, size = struct.unpack_from("<BBH", attributes, place)
        place += 4
        if form == 4:  # what follows is `size` bytes; in other forms `size` is the value itself
            if attribute == wanted:  # a symbol's number, and the value
                found.append(struct.unpack_from("<II", attributes, place)[1])
            place += size
    return found


def _sections(data: bytes) -> list[tuple[str, bytes]]:
    """Name and contents of each section of a 64-bit ELF file."""
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + n * size) for n in range(count)]
    texts = headers[names][4]
    found = []
    for header in headers:
        start = texts + header[0]
        name = data[start : data.index(b"\0", start)].decode()
        empty = header[1] == 8  # SHT_NOBITS lies in memory only
        found.append((name, b"" if empty else data[header[4] : header[4] + header[5]]))
    return found
