"""Whatever is killed at whatever moment: no job is lost, no GPU given twice or kept, no process left."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from chaos import Chaos

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed")


async def play(directory: Path, rounds: int) -> None:
    seed = int(os.environ.get("COCKPIT_CHAOS_SEED") or random.SystemRandom().getrandbits(32))
    print(f"COCKPIT_CHAOS_SEED={seed} makes the same choices again")
    counts = await Chaos(seed, directory).run(rounds)
    assert sum(counts.values()) == rounds


async def test_twenty_rounds_of_chaos(short_tmp: Path) -> None:
    await play(short_tmp, 20)


@pytest.mark.heavy
async def test_three_hundred_rounds_of_chaos(short_tmp: Path) -> None:
    await play(short_tmp, 300)
