"""Going on with a box whose agent or connection was away for a while."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cockpit.client import Box
from cockpit.errors import BoxError

T = TypeVar("T")

PATIENCE_S = 30.0
"""How long the agent of this machine is waited for. Another box, once met, is waited for until
Ctrl+C: its jobs go on meanwhile."""
FIRST_S, MOST_S = 0.5, 10.0
QUIET_S = 3.0
"""A loss that is over sooner is not worth a word."""


async def patiently(box: Box, call: Callable[[], Awaitable[T]]) -> T:
    """What `call` returns; while the agent is away it is tried again.

    An answer of the agent that is an error is raised at once.
    """
    begun, delay_s, told = time.monotonic(), FIRST_S, False
    while True:
        try:
            found = await call()
        except BoxError as error:
            elsewhere = not box.local and box.info is not None and error.away
            waited_s = time.monotonic() - begun
            if error.code or (not elsewhere and waited_s > PATIENCE_S):
                raise
            if elsewhere and not told and waited_s >= QUIET_S:
                told = True
                print(f"cockpit: {error.message}; waiting for it", file=sys.stderr, flush=True)
        else:
            if told:
                print(f"cockpit: {box.name} is back", file=sys.stderr, flush=True)
            return found
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * 1.5, MOST_S if elsewhere else FIRST_S)
