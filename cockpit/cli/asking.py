"""Questions of a connection, put to the person at this terminal; what is typed is never stored."""

from __future__ import annotations

import asyncio
import sys

from cockpit.questions import Question
from cockpit.tui import Suspend


async def ask_here(question: Question) -> str | None:
    """The answer, or None where nobody can be asked: no terminal, or end of input."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return await asyncio.to_thread(_ask, question)


class AskBetween:
    """Asks on the plain terminal while the full screen makes room."""

    def __init__(self) -> None:
        self._suspend: Suspend | None = None

    def lend_terminal(self, suspend: Suspend) -> None:
        """Take the way to the plain terminal."""
        self._suspend = suspend

    async def __call__(self, question: Question) -> str | None:
        assert self._suspend is not None
        # Blocks on purpose: nothing may be drawn while the person types.
        with self._suspend():
            return _ask(question)


def _ask(question: Question) -> str | None:
    import getpass

    for line in (question.detail, question.text if question.kind == "trust" else ""):
        if line:
            print(f"cockpit: {line}", file=sys.stderr)
    try:
        if question.kind == "secret":
            return getpass.getpass(f"cockpit: {question.text}: ", stream=sys.stderr)
        words = "yes or no: " if question.kind == "trust" else f"{question.text}: "
        print(f"cockpit: {words}", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() if question.kind == "trust" else input()
    except EOFError:
        return None
