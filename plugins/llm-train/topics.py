"""The text that Python itself carries: the chapters of its reference that `help()` shows."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write(folder: Path) -> Path:
    """Python's topics as JSON lines in `folder`, unless they are there. Returns the file.

    Raises ValueError, in words for the person, if this Python has none.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ValueError(
            "This Python comes without pydoc_data.topics, the text to learn from if no --data is"
            " named: name some."
        ) from None
    file = folder / "topics.jsonl"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".topics.{os.getpid()}"
        lines = (json.dumps({"text": topics[name]}) for name in sorted(topics))
        draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        draft.replace(file)
    return file
