"""Lines that break, freeze or are slow: nothing is lost or doubled, and a job never notices."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from slow_line import SlowLine
from ssh_net import SETTINGS, Net
from sshd import Sshd
from waiting import ended

from cockpit.cli import patience
from cockpit.client import Connected, Disconnected, Update
from cockpit.model import JobRequest, Snapshot
from cockpit.transports import ssh_connection

LINES = 400


def sessions(server: Sshd) -> list[int]:
    """The processes of the server that each serve one connection."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


async def test_a_connection_killed_in_the_middle_of_a_log_loses_and_doubles_no_line(
    net: Net,
) -> None:
    server = net.server()
    (net.directory / ".ssh").mkdir()
    (net.directory / ".ssh/config").write_text(net.config.read_text())
    script = f"for i in $(seq {LINES}); do echo line $i; sleep 0.01; done"
    box = net.box()
    job = await box.submit(JobRequest("writer", ("bash", "-c", script), gpus=1))
    follower = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cockpit", "--simulate", "--host", "gpubox", "logs", "-f", job.id),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(net.directory)},
    )
    assert follower.stdout is not None
    got = b""
    for kill_after in (40, 120, 250):
        while got.count(b"\n") < kill_after:
            got += await follower.stdout.readline()
        for pid in sessions(server):
            os.kill(pid, signal.SIGKILL)
    got += await follower.stdout.read()
    assert await follower.wait() == 0
    assert got == b"".join(b"line %d\n" % number for number in range(1, LINES + 1))
    assert (await ended(net.box(), job)).state == "COMPLETED"


async def test_a_copy_goes_on_where_a_killed_connection_left_it(net: Net, tmp_path: Path) -> None:
    server = net.server()
    (net.directory / ".ssh").mkdir()
    (net.directory / ".ssh/config").write_text(net.config.read_text())
    box = net.box()
    script = "head -c 60000000 /dev/urandom > $COCKPIT_JOB_DIR/big"
    job = await ended(box, await box.submit(JobRequest("writer", ("bash", "-c", script), gpus=0)))
    here = tmp_path / "copied"
    here.mkdir()
    copier = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cockpit", "--simulate", "--host", "gpubox", "cp"),
        *(f"{job.id}:big", str(here)),
        env={**os.environ, "HOME": str(net.directory)},
    )
    killed = 0
    while copier.returncode is None and killed < 3:
        part = next((path.stat().st_size for path in here.glob(".big.*.part")), 0)
        if part > killed * 15_000_000:
            killed += 1
            for pid in sessions(server):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)
    assert await copier.wait() == 0
    assert killed == 3
    assert (here / "big").read_bytes() == (Path(job.directory) / "big").read_bytes()
    assert [path.name for path in here.iterdir()] == ["big"]


async def test_a_box_that_is_away_is_waited_for_and_told_of(
    net: Net, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "QUIET_S", 0.0)
    server = net.server()
    box = net.box()
    await box.connect()
    server.stop()
    await box.close()
    asked = asyncio.create_task(patience.patiently(box, box.jobs))
    await asyncio.sleep(1.0)
    assert not asked.done()
    server.start()
    assert await asyncio.wait_for(asked, 30) == ()
    told = capsys.readouterr().err
    assert "gpubox takes no SSH connection" in told and "gpubox is back" in told


async def test_a_peer_that_freezes_is_noticed_told_and_followed_again(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_connection, "KEEPALIVE_S", 0.2)
    monkeypatch.setattr(ssh_connection, "KEEPALIVES", 2)
    server = net.server()
    box = net.box()
    job = await box.submit(JobRequest("long", ("sleep", "600"), gpus=1))
    seen: list[Update] = []
    frozen: list[int] = []
    async for update in box.follow(("snapshot",), 0.2):
        seen.append(update)
        if isinstance(update, Snapshot) and not frozen:
            frozen = sessions(server)
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
        if isinstance(update, Connected) and len(seen) > 1:
            break
    for pid in frozen:
        os.kill(pid, signal.SIGKILL)
    [lost] = [update for update in seen if isinstance(update, Disconnected)]
    assert "gpubox" in lost.reason and lost.since_s > 0
    assert (await box.job(job.id)).state == "RUNNING"
    await box.stop_job(job.id, 0.0)


async def test_a_line_too_slow_for_every_snapshot_shows_the_newest_and_queues_none_up(
    net: Net,
) -> None:
    server = net.server(known=False)
    line = SlowLine(server.port, 0.075, 0.02, bytes_per_s=20_000)
    port = await line.start()
    public = server.host_key.with_suffix(".pub").read_text().strip()
    (net.directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
    net.config.write_text(server.config_lines().replace(str(server.port), str(port)))
    watcher = net.box("gpubox", settings=replace(SETTINGS, interval_s=0.1))
    sequences: list[int] = []
    behind: list[int] = []
    async for update in watcher.follow(("snapshot",), 0.1):
        if isinstance(update, Snapshot):
            sequences.append(update.sequence)
            behind.append((await watcher.snapshot()).sequence - update.sequence)
            if len(sequences) == 25:
                break
    await watcher.close()
    await line.stop()
    skipped = sequences[-1] - sequences[0] + 1 - len(sequences)
    assert skipped > 0, "the line was fast enough for all of them"
    # Two are under way at most, so that none is older at the end than they were in the beginning.
    assert sorted(behind[-8:])[4] <= 3 * max(1, sorted(behind[:8])[4])
