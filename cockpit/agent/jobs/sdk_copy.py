"""What a workload can import: a directory with nothing in it but `cockpit` and `cockpit.sdk`."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]


def materialise(directory: Path) -> Path:
    """A directory for PYTHONPATH, under `directory`; made once per content and then never changed.

    Raises OSError if it cannot be written.
    """
    sources = [PACKAGE / "__init__.py", *sorted((PACKAGE / "sdk").rglob("*.py"))]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(str(source.relative_to(PACKAGE)).encode() + b"\0" + source.read_bytes())
    target = directory / f"sdk-{digest.hexdigest()[:16]}"
    if target.is_dir():
        return target
    half = Path(tempfile.mkdtemp(prefix=".sdk-", dir=directory))
    for source in sources:
        copy = half / "cockpit" / source.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    try:
        os.rename(half, target)  # noqa: PTH104
    except OSError:
        # Another agent was faster; what it made is the same.
        shutil.rmtree(half)
        if not target.is_dir():
            raise
    return target
