"""begin: a worker of Textual for an async function, in place of the one before of its group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.dom import DOMNode


def begin(node: DOMNode, work: Callable[[], Awaitable[None]], group: str) -> None:
    """Run `work` beside everything else; it ends with `node`, or when its group begins anew.

    The function is handed over, and not its coroutine: one that is cancelled before it could start
    would never be awaited.
    """
    node.run_worker(work, name=group, group=group, exclusive=True)
