"""What a connection may have to ask the person: a password, or whether to trust a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Question:
    """Asked once, answered by the person at the desk; the answer is never stored."""

    kind: Literal["trust", "secret", "text"]
    """`trust` wants "yes" or anything else, `secret` must not be shown while it is typed."""
    host: str
    text: str
    detail: str = ""


Asker = Callable[[Question], Awaitable[str | None]]
"""Puts a question to the person. None when there is nobody, or they would not say."""


async def nobody(question: Question) -> str | None:
    """The asker of a program without a person: answers nothing."""
    return None
