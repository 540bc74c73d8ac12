"""`cockpit serve ssh` as people meet it: screens, commands, roles, limits, and those who mean harm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
from pathlib import Path

import asyncssh
import pytest
from served import WAIT_S, Served, open_screen

SGR_CLICK = "\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"


async def test_commands_of_each_role_and_their_exit_codes(served: Served, tmp_path: Path) -> None:
    await served.let_in("vera", "viewer")
    await served.let_in("olga", "operator")
    await served.start()
    status = await served.ask("vera", "status --json")
    assert status.exit_status == 0
    assert json.loads(str(status.stdout))["box"]["source"] == "simulated"
    ran = await served.ask("olga", "cockpit exec --gpus 1 -- bash -c 'echo out; exit 3'")
    assert (ran.exit_status, ran.stdout) == (3, "out\n")
    assert "SIMULATED" in str(ran.stderr)
    assert (await served.ask("vera", "logs 1")).stdout == "out\n"
    assert (await served.ask("vera", "wait 1")).exit_status == 3

    target = tmp_path / "written"
    for command, told in (
        ("exec -- true", "`cockpit exec` needs operator"),
        ("run sweep", "needs operator"),
        ("stop 1", "needs operator"),
        ("rm 1", "needs operator"),
        ("cp 1:output.log /tmp/x", "needs operator"),
        ("agent stop", "needs admin"),
        ("serve keys list", "needs admin"),
        (f"show 1 x --output {target}", "--output writes"),
        (f"show 1 x --output={target}", "--output writes"),
        (f"record {target}", "needs operator"),
        ("status --host elsewhere", "the box that is served, and no other"),
        ("status --simulate sxm", "the box that is served, and no other"),
        ("status --config /etc/passwd", "the box that is served, and no other"),
        ("status 'unclosed", "cannot be read"),
    ):
        refused = await served.ask("vera", command)
        assert refused.exit_status == 2, command
        assert told in str(refused.stderr), (command, refused.stderr)
    assert not target.exists()
    refused = await served.ask("olga", "agent stop")
    assert refused.exit_status == 2 and "needs admin" in str(refused.stderr)
    assert await served.stop() == 0


async def test_no_command_without_a_terminal_is_told_how(served: Served) -> None:
    await served.let_in("vera", "viewer")
    await served.start()
    async with served.connect("vera") as connection:
        shell = await asyncio.wait_for(connection.run(), WAIT_S)
        assert shell.exit_status == 2 and "ssh -t" in str(shell.stderr)


async def test_the_real_openssh_client_comes_in(served: Served) -> None:
    ssh = shutil.which("ssh")
    if ssh is None:
        pytest.skip("there is no OpenSSH client here")
    key = await served.let_in("vera", "viewer")
    await served.start()
    known = served.directory / "known"
    process = await asyncio.create_subprocess_exec(
        *(ssh, "-p", str(served.port), "-i", str(key), "-F", "none"),
        *("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={known}"),
        *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "x@127.0.0.1", "status", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), WAIT_S)
    assert process.returncode == 0, error
    assert len(json.loads(out)["gpus"]) == 10
    # The host key is the one that it says it has.
    [fingerprint] = re.findall(r"host key (SHA256:\S+)", "".join(served.said))
    host_key = asyncssh.import_public_key(known.read_text().split(" ", 1)[1])
    assert host_key.get_fingerprint() == fingerprint


async def test_twenty_screens_at_once_each_its_own(served: Served) -> None:
    for number in range(4):
        await served.let_in(f"user{number}", ("viewer", "operator", "admin", "viewer")[number])
    await served.start("ssh", "--sessions", "40")
    async with contextlib.AsyncExitStack() as stack:
        screens = []
        for number in range(20):
            connection = await stack.enter_async_context(served.connect(f"user{number % 4}"))
            size = ((80, 24), (120, 40), (200, 60))[number % 3]
            screens.append(await open_screen(connection, *size))
        for number, screen in enumerate(screens):
            role = ("VIEWER", "OPERATOR", "", "VIEWER")[number % 4]
            await screen.until("SIMULATED", role)
        assert len(served.programs()) == 20
        for screen in screens[:10]:
            screen.type("q")
        for screen in screens[:10]:
            await asyncio.wait_for(screen.process.wait_closed(), WAIT_S)
            assert screen.process.exit_status == 0
        await served.until_programs(10)
        # The others still answer: each opens the palette.
        for screen in screens[10:]:
            screen.type("?")
        for screen in screens[10:]:
            await screen.until("Keys of this place")
    # Their connections were cut, not left: nothing of them stays.
    await served.until_programs(0)


async def test_resize_mouse_paste_and_letters_of_any_kind(served: Served) -> None:
    await served.let_in("olga", "operator")
    await served.start()
    async with served.connect("olga") as connection:
        screen = await open_screen(connection, 120, 40)
        await screen.until("SIMULATED", "kWh today")
        screen.resize(80, 24)
        # The narrow wall is a table with a head.
        await screen.until("mem", "MHz", "state")
        screen.resize(120, 40)
        await screen.until("350W")
        screen.type(SGR_CLICK.format(column=10, row=2) * 2)
        await screen.until("GPU 0")
        screen.type("\x1b")
        # Escape and a letter right after it would be another key.
        await screen.until("350W", gone="GPU 0")
        screen.type("/")
        await screen.until("Filter by any word")
        screen.type("\x1b[200~žlutý 猫 🐈\x1b[201~")
        await screen.until("žlutý 猫")
        screen.type("\x1b")
        await screen.until("350W", gone="žlutý 猫")
        screen.type("q")
        await asyncio.wait_for(screen.process.wait_closed(), WAIT_S)
        assert screen.process.exit_status == 0


async def test_a_viewers_screen_acts_by_no_key_and_no_word(served: Served) -> None:
    await served.let_in("vera", "viewer")
    await served.let_in("olga", "operator")
    await served.start()
    await served.ask("olga", "exec --detach --gpus 1 --name busy -- sleep 600")
    async with served.connect("vera") as connection:
        screen = await open_screen(connection, 120, 40)
        await screen.until("VIEWER", "busy")
        screen.type("L")
        await screen.until("you are here as viewer")
        screen.type("s")
        await screen.until("you are here as viewer")
        screen.type("J")
        await screen.until("RUNNING")
        for key in ("x", "R", "E"):
            screen.type(key)
            await screen.until("you are here as viewer")
        screen.type(":")
        await screen.until("Search for commands")
        screen.type("launch")
        await screen.until("launch")
        screen.type("\r\r\r")
        await asyncio.sleep(0.5)
        screen.type("\x1b\x1b")
        await asyncio.sleep(0.5)
    [job] = json.loads(str((await served.ask("vera", "jobs --json")).stdout))["jobs"]
    assert (job["name"], job["state"]) == ("busy", "RUNNING")
    made = [path.name for path in served.directory.rglob("*.svg")]
    assert made == []


async def test_a_viewer_reaches_nothing_by_ports_files_or_subsystems(served: Served) -> None:
    await served.let_in("vera", "viewer")
    await served.start()
    async with served.connect("vera") as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", served.port)
        with pytest.raises(asyncssh.Error):
            await connection.start_sftp_client()
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)
        # What a client says of its environment reaches no program.
        ran = await connection.run(
            "status --json", env={"COCKPIT_ROLE": "admin", "PYTHONSTARTUP": "x", "LD_PRELOAD": "x"}
        )
        assert ran.exit_status == 0
        ran = await connection.run("stop 1", env={"COCKPIT_ROLE": "admin", "COCKPIT_GATE": ""})
        assert ran.exit_status == 2


async def test_a_client_that_is_killed_leaves_no_process_and_no_socket(served: Served) -> None:
    await served.let_in("olga", "operator")
    await served.start()
    for _ in range(3):
        connection = await served.connect("olga")
        screen = await open_screen(connection)
        await screen.until("SIMULATED")
        assert len(served.programs()) == 1
        connection.abort()
        await served.until_programs(0)


async def test_a_client_that_reads_nothing_holds_up_only_itself(served: Served) -> None:
    await served.let_in("olga", "operator")
    await served.start()
    flood = "exec --gpus 0 -- bash -c 'yes | head -c 300000000'"
    async with served.connect("olga") as slow, served.connect("olga") as other:
        process = await slow.create_process(flood, encoding=None)
        process.channel.pause_reading()
        await asyncio.sleep(3)
        status = await asyncio.wait_for(other.run("status --json"), WAIT_S)
        assert status.exit_status == 0
        assert served.process is not None
        pages = int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1])
        # Nothing of the 300 MB waits in the server.
        assert pages * os.sysconf("SC_PAGESIZE") < 150 << 20


async def test_input_to_its_end_reaches_a_command(served: Served) -> None:
    await served.let_in("root", "admin")
    await served.start()
    code, _, _ = await served.run("serve", "keys", "list")
    assert code == 0
    key = asyncssh.generate_private_key("ssh-ed25519", "new").export_public_key().decode()
    added = await served.ask("root", "serve keys add - --name nina", stdin=key)
    assert added.exit_status == 0 and "nina is let in as viewer" in str(added.stderr)


async def test_a_key_that_is_taken_out_or_unknown_does_not_come_in(served: Served) -> None:
    await served.let_in("vera", "viewer")
    await served.start()
    assert (await served.ask("vera", "status --json")).exit_status == 0
    assert (await served.run("serve", "keys", "remove", "vera"))[0] == 0
    await asyncio.sleep(1.1)
    with pytest.raises(asyncssh.PermissionDenied):
        await served.ask("vera", "status")
    served.keys["eve"] = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await served.ask("eve", "status")
    with pytest.raises(asyncssh.PermissionDenied):
        async with asyncssh.connect(
            "127.0.0.1", served.port, username="root", password="root", client_keys=None,
            known_hosts=None, config=None, agent_path=None,
        ):  # fmt: skip
            pass


async def test_who_did_what_is_in_the_audit_log(served: Served) -> None:
    await served.let_in("vera", "viewer")
    await served.let_in("olga", "operator")
    await served.start()
    await served.ask("olga", "exec --detach --gpus 1 --name train -- sleep 600")
    await served.ask("olga", "stop 1")
    await served.ask("vera", "rm 1")
    await served.stop()
    told = [(entry["event"], entry.get("who")) for entry in served.audit()]
    assert told[0] == ("started", None) and told[-1] == ("stopped", None)
    assert ("login", "olga") in told and ("login", "vera") in told
    calls = [entry for entry in served.audit() if entry["event"] == "call"]
    assert [(each["method"], each.get("job"), each["outcome"]) for each in calls] == [
        ("job.submit", "1", "done"),
        ("job.stop", "1", "done"),
    ]
    assert calls[0]["from"] == "127.0.0.1" and calls[0]["key"].startswith("SHA256:")
    _, out, _ = await served.run("serve", "audit")
    assert "olga (operator)" in out and "name train" in out
    sessions = [entry["command"] for entry in served.audit() if entry["event"] == "session"]
    assert "rm 1" in sessions


async def test_there_are_only_so_many_sessions(served: Served) -> None:
    await served.let_in("olga", "operator")
    await served.let_in("vera", "viewer")
    await served.start("ssh", "--sessions", "8")
    async with served.connect("olga") as olga, served.connect("vera") as vera:
        kept = [await olga.create_process("events --follow") for _ in range(2)]
        with pytest.raises(asyncssh.ChannelOpenError, match="this key has 2 sessions"):
            await olga.create_process("events --follow")
        assert (await vera.run("status --json")).exit_status == 0
        kept[0].close()
        await served.until_programs(1)
        assert (await olga.run("status --json")).exit_status == 0


async def _raw(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return b""


async def test_random_bytes_and_half_open_logins_do_no_harm(served: Served) -> None:
    await served.let_in("vera", "viewer")
    await served.start()
    chance = random.Random(5)
    greeting = b"SSH-2.0-OpenSSH_9.9\r\n"
    for number in range(8):
        noise = chance.randbytes(chance.choice((1, 100, 40_000)))
        await _raw(served.port, (greeting if number % 2 else b"") + noise)
    # That was more than one may fail in a minute, less than bars one; then those who say nothing.
    silent = []
    for _ in range(12):
        with contextlib.suppress(OSError):
            silent.append(await asyncio.open_connection("127.0.0.1", served.port))
    await asyncio.sleep(0.5)
    closed = [await _ended(reader) for reader, _ in silent]
    # Half of the places for logins are for one address; what is beyond is cut at once.
    assert closed.count(True) >= 4
    for _, writer in silent:
        writer.close()
    assert served.process is not None and served.process.returncode is None


async def _ended(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(asyncio.TimeoutError, OSError):
        while data := await asyncio.wait_for(reader.read(4096), 0.2):
            assert data.startswith(b"SSH-2.0-cockpit")
        return True
    return False


async def test_an_address_whose_logins_fail_again_and_again_is_barred_for_a_while(
    served: Served,
) -> None:
    await served.let_in("vera", "viewer")
    served.keys["eve"] = asyncssh.generate_private_key("ssh-ed25519")
    await served.start()
    async with served.connect("vera") as already:
        for _ in range(10):
            with pytest.raises((asyncssh.Error, OSError)):
                await served.ask("eve", "status")
        with pytest.raises((asyncssh.Error, OSError)):
            await served.ask("vera", "status")
        # Who is in stays in.
        assert (await already.run("status --json")).exit_status == 0
    reasons = [each.get("reason", "") for each in served.audit() if each["event"] == "turned away"]
    assert any("failed" in reason for reason in reasons)


async def test_a_request_that_is_too_large_is_refused(served: Served) -> None:
    await served.let_in("vera", "viewer")
    await served.start()
    refused = await served.ask("vera", "status " + "x" * 20_000)
    assert refused.exit_status == 2 and "at most 16384 characters" in str(refused.stderr)
    async with served.connect("vera") as connection:
        with contextlib.suppress(asyncssh.Error, OSError):
            await connection.run("status " + "x" * 5_000_000)
    assert (await served.ask("vera", "status --json")).exit_status == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_end_of_the_server_ends_its_sessions_and_leaves_jobs(
    served: Served, number: signal.Signals
) -> None:
    await served.let_in("olga", "operator")
    await served.start()
    await served.ask("olga", "exec --detach --gpus 1 -- sleep 600")
    connection = await served.connect("olga")
    screen = await open_screen(connection)
    await screen.until("SIMULATED")
    [pid] = served.programs()
    assert served.process is not None
    served.process.send_signal(number)
    assert await asyncio.wait_for(served.process.wait(), WAIT_S) in (0, 130)
    assert not Path(f"/proc/{pid}").exists()
    _, out, _ = await served.run("jobs", "--simulate", "--json")
    assert [job["state"] for job in json.loads(out)["jobs"]] == ["RUNNING"]
    await served.run("stop", "1", "--simulate")


async def test_beyond_this_machine_only_if_that_is_meant(served: Served) -> None:
    code, _, error = await served.run("serve", "ssh", "--listen", "0.0.0.0:8022")
    assert code == 2 and "other machines" in error and "--allow-remote" in error
    code, _, error = await served.run("serve", "web", "--listen", "192.0.2.7:80")
    assert code == 2 and "other machines" in error
    code, _, error = await served.run("serve", "ssh", "--sessions", "many")
    assert code == 2 and "--sessions" in error
    code, _, error = await served.run("--host", "x", "serve", "ssh")
    assert code == 2 and "on that box" in error


async def test_a_port_that_is_taken_is_told(served: Served) -> None:
    await served.start(ready="come in with")
    code, _, error = await served.run("serve", "ssh", "--listen", f"127.0.0.1:{served.port}")
    assert code == 1 and "cannot listen" in error and "another port" in error
