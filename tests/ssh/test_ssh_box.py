"""A box behind a real sshd: the agent is sent, found again, replaced; noise and lacks are told."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ssh_net import SETTINGS, Net
from waiting import ended

from cockpit import __version__, codec
from cockpit.errors import BoxError
from cockpit.model import JobRequest
from cockpit.transports import bridge, payload

Fails = Callable[[Awaitable[object]], Awaitable[BoxError]]


def agent_pid(net: Net, name: str = "simulated-pcie") -> int:
    return int((net.servers[0].home / f"run/cockpit/agent-{name}.lock").read_text())


async def test_the_agent_is_sent_to_a_bare_python_and_used_by_the_next_connection(net: Net) -> None:
    server = net.server(path=_bare_python(net.directory))
    first = net.box()
    info = await first.connect()
    assert (info.name, info.source, info.gpu_count) == ("gpubox", "simulated", 10)
    assert len((await first.snapshot()).gpus) == 10
    pid = agent_pid(net)
    assert b"/received/agents/" in Path(f"/proc/{pid}/cmdline").read_bytes()
    second = net.box()
    await second.connect()
    assert agent_pid(net) == pid
    left = {path.name for path in server.home.iterdir()} - {"host_key", "host_key.pub"}
    assert left - {"authorized_keys", "sshd.log", "sshd_config", "run"} == {"state"}


def _bare_python(directory: Path) -> str:
    """A PATH with nothing on it but the system and a Python 3.10 where there is one, without packages."""
    for candidate in (Path.home() / ".pyenv/versions").glob("3.10.*/bin/python3"):
        (directory / "bin").mkdir()
        (directory / "bin" / "python3").symlink_to(candidate)
        return f"{directory}/bin:/usr/bin:/bin"
    return f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin"


async def test_a_job_runs_there_and_its_log_and_frames_come_back(net: Net) -> None:
    net.server()
    box = net.box()
    job = await box.submit(JobRequest("hello", ("bash", "-c", "echo out; pwd"), gpus=1))
    done = await ended(box, job)
    assert (done.state, len(done.gpus)) == ("COMPLETED", 1)
    assert str(net.servers[0].home) in done.directory


async def test_a_plugin_folder_is_sent_once_by_its_content(net: Net) -> None:
    server = net.server()
    folder = net.directory / "plugin"
    folder.mkdir()
    script = folder / "work.sh"
    script.write_text("#!/bin/sh\ncat data.txt\n")
    script.chmod(0o755)
    (folder / "data.txt").write_text("42")
    box = net.box()
    request = JobRequest("own", ("./work.sh",), plugin="own", plugin_directory=str(folder), gpus=0)
    for _ in range(2):
        job = await box.submit(request)
        assert (await ended(box, job)).state == "COMPLETED"
    place = server.home / "state/cockpit/received/folders"
    assert len([path for path in place.iterdir() if path.is_dir()]) == 1
    (folder / "data.txt").write_text("43")
    await box.submit(request)
    assert len([path for path in place.iterdir() if path.is_dir()]) == 2


async def test_a_login_shell_that_prints_hurts_nothing(net: Net) -> None:
    server = net.server()
    (server.home / ".bashrc").write_text("echo 'Welcome!'; echo '{\"jsonrpc\": 1}'; echo oh >&2\n")
    assert (await net.box().connect()).gpu_count == 10


async def test_a_box_without_a_new_enough_python_says_so(net: Net, fails: Fails) -> None:
    empty = net.directory / "empty"
    empty.mkdir()
    net.server(path=str(empty))
    error = await fails(net.box().connect())
    assert "no Python 3.10 or newer" in error.message and "Install python3" in error.advice


async def test_an_agent_of_another_version_is_replaced_and_its_job_goes_on(net: Net) -> None:
    net.server()
    box = net.box()
    job = await box.submit(JobRequest("long", ("sleep", "60"), gpus=1))
    await box.shutdown()
    await box.close()
    old = _start_older(net)
    newer = net.box()
    info = await newer.connect()
    assert info.agent_version == __version__ and agent_pid(net) != old.pid
    assert old.wait(20) == 0
    assert (await newer.job(job.id)).state == "RUNNING"
    await newer.stop_job(job.id, 0.0)


def _start_older(net: Net) -> subprocess.Popen[bytes]:
    """An agent of an older version, from a changed copy of the code that was sent."""
    server = net.servers[0]
    code = next((server.home / "state/cockpit/received/agents").iterdir())
    copy = net.directory / "older"
    shutil.copytree(code, copy)
    (copy / "cockpit/__init__.py").write_text('__version__ = "0.0.1"\n')
    agent = subprocess.Popen(
        [sys.executable, "-I", str(copy), "--settings"],
        stdin=subprocess.PIPE,
        env=server.environment,
        stderr=subprocess.DEVNULL,
    )
    assert agent.stdin is not None
    agent.stdin.write(codec.dumps(SETTINGS).encode())
    agent.stdin.close()
    socket = server.home / "run/cockpit/agent-simulated-pcie.sock"
    deadline = time.monotonic() + 20
    while not socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert agent_pid(net) == agent.pid
    return agent


async def test_settings_and_a_name_of_their_own_give_an_agent_of_its_own(net: Net) -> None:
    net.server()
    both = [net.box(), net.box(settings=replace(SETTINGS, name="simulated-sxm"))]
    for box in both:
        await box.connect()
    assert agent_pid(net) != agent_pid(net, "simulated-sxm")


async def test_nothing_is_left_but_its_state_after_forget(net: Net) -> None:
    server = net.server()
    box = net.box()
    await box.connect()
    await box.shutdown()
    transport = box._transport
    await transport.forget()  # type: ignore[attr-defined]
    assert not (server.home / "state/cockpit/received").exists()


async def test_a_port_of_the_box_is_led_to_a_local_one(net: Net) -> None:
    net.server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"model says " + await reader.readline())
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    there = listener.sockets[0].getsockname()[1]
    local = await net.box().forward(there)
    assert local != there
    reader, writer = await asyncio.open_connection("127.0.0.1", local)
    writer.write(b"hi\n")
    assert await reader.readline() == b"model says hi\n"
    writer.close()
    listener.close()


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
async def test_a_home_that_takes_no_files_is_no_obstacle(net: Net) -> None:
    home = net.directory / "readonly"
    home.mkdir()
    if not _mounted(home):
        pytest.skip("this machine lets nobody mount")
    try:
        net.server(environment={"XDG_STATE_HOME": str(home / "state"), "HOME": str(home)})
        box = net.box()
        assert (await box.connect()).gpu_count == 10
        assert "takes no files" in box._transport.note  # type: ignore[attr-defined]
        job = await box.submit(JobRequest("work", ("true",), gpus=1))
        assert job.directory.startswith("/tmp/cockpit-")
        await box.shutdown()
    finally:
        _unmount(home)


def _mounted(home: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(home)]
    return subprocess.run(command, capture_output=True).returncode == 0


def _unmount(home: Path) -> None:
    subprocess.run(["umount", str(home)], check=True)


def test_the_payload_is_the_same_for_the_same_content_and_small() -> None:
    first = payload.agent_payload()
    payload.agent_payload.cache_clear()
    assert payload.agent_payload() == first
    assert len(first.data) < 1 << 20


def test_a_folder_that_leads_outside_is_refused(tmp_path: Path) -> None:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../evil", "x")
    with (
        zipfile.ZipFile(buffer) as archive,
        pytest.raises(bridge.TroubleError, match="leads out"),
    ):
        bridge._extract(archive, tmp_path / "here")
    assert not (tmp_path / "evil").exists()


def test_the_bridge_imports_nothing_of_cockpit() -> None:
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1], run_name='bridge');"
        "print([name for name in sys.modules if name.startswith(('cockpit', 'asyncssh', 'pynvml'))])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(bridge.__file__)], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


async def test_exec_sends_the_folder_and_neither_this_shells_path_nor_its_directory(
    net: Net,
) -> None:
    net.server()
    (net.directory / ".ssh").mkdir()
    (net.directory / ".ssh/config").write_text(net.config.read_text())
    folder = net.directory / "data"
    folder.mkdir()
    (folder / "numbers.txt").write_text("1 2 3\n")

    async def cockpit(*words: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cockpit", "--simulate", "--host", "gpubox", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": str(net.directory), "LD_LIBRARY_PATH": "/of/this/machine"},
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    code, out, err = await cockpit(
        *("exec", "--gpus", "0", "--workdir", str(folder)),
        *("--", "bash", "-c", "cat numbers.txt; echo ${LD_LIBRARY_PATH-none}; pwd"),
    )
    lines = out.splitlines()
    assert (code, lines[:2]) == (0, ["1 2 3", "none"]), err
    assert lines[2].startswith(str(net.servers[0].home))
    code, _, err = await cockpit("exec", "--chdir", "here", "--", "true")
    assert code == 2 and "absolute path" in err
    code, _, err = await cockpit("exec", "--gpus", "0", "--chdir", "/nowhere", "--", "true")
    assert code == 1 and "/nowhere" in err
