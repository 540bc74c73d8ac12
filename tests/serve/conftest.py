"""A server that a test module shares would mix up its sessions: each test has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from served import Served


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    yield served
    await served.close()
