"""Real OpenSSH servers, and boxes behind them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from ssh_net import Net
from sshd import SSHD

from cockpit.errors import BoxError


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not Path(SSHD).exists() or shutil.which("ssh-keygen") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="there is no OpenSSH server here"))


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    net = Net(tmp_path)
    yield net
    await net.close()


@pytest.fixture
def fails() -> Callable[[Awaitable[object]], Awaitable[BoxError]]:
    async def failure(work: Awaitable[object]) -> BoxError:
        with pytest.raises(BoxError) as caught:
            await work
        return caught.value

    return failure
