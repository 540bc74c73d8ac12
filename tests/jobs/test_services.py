"""Jobs that serve: a port and a key of their own, and how they are is told as it is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_bench import Bench, Say, box, snapshot

from cockpit.agent.jobs import retries, services
from cockpit.agent.jobs.events import ToldService
from cockpit.errors import UsageError
from cockpit.model import Job, ServiceWish
from cockpit.plugins.manifest import load
from cockpit.protocol import RpcError
from cockpit.sdk.services import find_service

SERVER = """
import http.server, os, signal, sys, threading, time
sys.path[:0] = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
from cockpit.sdk import job
mode = sys.argv[1]
health = {"code": 503}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = self.headers.get("Authorization") == f"Bearer {job.service_key}"
        self.send_response(health["code"] if allowed else 401)
        self.end_headers()
        self.wfile.write(b"hello" if allowed else b"who?")
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", job.service_port), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
def stop(*_):
    job.draining()
    job.flush()
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
    print("drained", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print("listening", flush=True)
while not os.path.exists(os.path.join(os.environ["COCKPIT_JOB_DIR"], "go")):
    time.sleep(0.02)
health["code"] = 200
if mode == "event":
    job.ready(["small", "large"], "two models")
    job.flush()
if mode == "fail":
    job.service_failed("out of memory")
    job.flush()
    os._exit(3)
while True:
    signal.pause()
"""


@pytest.fixture
def server(short_tmp: Path) -> Path:
    path = short_tmp / "server.py"
    path.write_text(SERVER)
    return path


async def serve(
    bench: Bench,
    server: Path,
    mode: str = "event",
    *more: str,
    ready: str = "event",
    **wish: object,
) -> Job:
    service = ServiceWish("openai", ready, **wish)  # type: ignore[arg-type]
    return await bench.submit(
        sys.executable, "-u", str(server), mode, *more, gpus=1, service=vars(service)
    )


async def state(bench: Bench, job: Job, wanted: str) -> Job:
    for _ in range(600):
        shown = await bench.show(job)
        assert shown.service is not None
        if shown.service.state == wanted:
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError(f"it is {shown.service}, {shown.state}: {shown.reason}")


def go(job: Job) -> None:
    (Path(job.directory) / "go").touch()


def fetch(port: int, key: str) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


async def test_a_service_is_ready_when_it_says_so_and_draining_when_it_is_stopped(
    bench: Bench, server: Path
) -> None:
    job = await state(bench, await serve(bench, server, "event", "1.0"), "starting")
    go(job)
    job = await state(bench, job, "ready")
    assert job.service is not None and job.service.models == ("small", "large")
    assert job.service.since_s is not None and job.service.detail == "two models"
    access = await bench.call("job.service", id=job.id)
    assert access["port"] == job.service.port
    assert await asyncio.to_thread(fetch, access["port"], access["key"]) == 200
    assert await asyncio.to_thread(fetch, access["port"], "guess") == 401
    stopping = asyncio.create_task(bench.call("job.stop", id=job.id))
    await state(bench, job, "draining")
    ended = await stopping
    assert ended.service.state == "ended" and ended.service.port is None
    assert b"drained" in (Path(job.directory) / "output.log").read_bytes()
    with pytest.raises(RpcError, match="does not run"):
        await bench.call("job.service", id=job.id)


async def test_one_that_cannot_speak_is_asked_by_a_path(bench: Bench, server: Path) -> None:
    job = await serve(bench, server, "silent", ready="/health")
    await state(bench, job, "starting")
    go(await bench.show(job))
    await state(bench, job, "ready")


async def test_one_that_answers_no_more_is_told(
    bench: Bench, server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "ASK_AGAIN_S", 0.1)
    monkeypatch.setattr(services, "ASK_EVERY_S", 0.1)
    monkeypatch.setattr(services, "ANSWER_S", 0.2)
    job = await serve(bench, server, "silent", ready="/health")
    go(await state(bench, job, "starting"))
    await state(bench, job, "ready")
    pid = _workload(await bench.show(job))
    os.kill(pid, signal.SIGSTOP)
    failed = await state(bench, job, "failed")
    assert failed.service is not None and "does not answer any more" in failed.service.detail
    os.kill(pid, signal.SIGCONT)
    await state(bench, job, "ready")


async def test_a_failure_is_told_with_its_reason(bench: Bench, server: Path) -> None:
    job = await serve(bench, server, "fail")
    go(await state(bench, job, "starting"))
    ended = await bench.end(job)
    assert ended.state == "FAILED" and ended.service is not None
    assert ended.service.state == "ended"


async def test_a_restarted_agent_finds_a_service_as_it_is(bench: Bench, server: Path) -> None:
    told, asked = await serve(bench, server), await serve(bench, server, "silent", ready="/")
    for job in (told, asked):
        go(await state(bench, job, "starting"))
    before = [await state(bench, job, "ready") for job in (told, asked)]
    await bench.restart()
    after = [await state(bench, job, "ready") for job in (told, asked)]
    assert [job.service.port for job in after] == [job.service.port for job in before]  # type: ignore[union-attr]


async def test_killed_with_its_shim_it_is_ready_no_more(bench: Bench, server: Path) -> None:
    job = await serve(bench, server)
    go(await state(bench, job, "starting"))
    await state(bench, job, "ready")
    os.kill(_workload(await bench.show(job)), signal.SIGKILL)
    ended = await bench.end(job)
    assert ended.service is not None and ended.service.state == "ended"


async def test_each_attempt_has_a_port_and_a_key_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "pause_s", lambda attempts: 0.05)
    service = vars(ServiceWish())
    script = "cd $COCKPIT_JOB_DIR; cat service.json >> seen; echo >> seen; exit 1"
    job = await bench.submit("bash", "-c", script, gpus=1, service=service, retries=1)
    ended = asyncio.create_task(bench.end(job))
    while not ended.done():
        # With each reading the box looks whose pause is over.
        bench.service.observe(box(), snapshot())
        await asyncio.sleep(0.05)
    first, second = map(
        json.loads, (Path(ended.result().directory) / "seen").read_text().splitlines()
    )
    assert first["key"] != second["key"]


async def test_the_key_is_in_no_file_but_one_and_in_no_argument(bench: Bench, server: Path) -> None:
    job = await serve(bench, server)
    go(await state(bench, job, "starting"))
    job = await state(bench, job, "ready")
    key = (await bench.call("job.service", id=job.id))["key"].encode()
    home = Path(job.directory)
    holding = [path.name for path in home.rglob("*") if path.is_file() and key in path.read_bytes()]
    assert holding == ["service.json"]
    assert stat.S_IMODE((home / "service.json").stat().st_mode) == 0o600
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(key in line for line in lines)
    shown = json.dumps(await bench.call("job.list"), default=vars)
    assert key.decode() not in shown
    with pytest.raises(RpcError, match="not given out"):
        await bench.call("job.read", id=job.id, path="service.json")


async def test_another_job_finds_it_by_its_number(bench: Bench, server: Path) -> None:
    job = await serve(bench, server)
    with pytest.raises(ValueError, match="not ready: starting"):
        find_service(bench.directory, f"job:{(await state(bench, job, 'starting')).id}")
    go(await bench.show(job))
    await state(bench, job, "ready")
    found = find_service(bench.directory, f"job:{job.id}")
    access = await bench.call("job.service", id=job.id)
    assert (found.base_url, found.key) == (f"http://127.0.0.1:{access['port']}/v1", access["key"])
    assert found.models == ("small", "large")
    await bench.call("job.stop", id=job.id)
    with pytest.raises(ValueError, match="has ended"):
        find_service(bench.directory, f"job:{job.id}")
    for wrong in ("job:99", "job:", "job:../1"):
        with pytest.raises(ValueError, match="there is no job"):
            find_service(bench.directory, wrong)


async def test_a_job_that_is_no_service_has_none(bench: Bench) -> None:
    job = await bench.submit("sleep", "600", gpus=1)
    assert (await bench.show(job)).service is None
    with pytest.raises(RpcError, match="is no service"):
        await bench.call("job.service", id=job.id)
    with pytest.raises(ValueError, match="is no service"):
        find_service(bench.directory, f"job:{job.id}")


STATES = ("RUNNING", "COMPLETING", "COMPLETED", "FAILED", "PENDING")


@given(
    job_state=st.sampled_from(STATES),
    told=st.none() | st.builds(
        ToldService, st.sampled_from(("ready", "draining", "failed")), st.floats(0, 200)
    ),
    seen=st.sampled_from(("starting", "ready", "failed")),
    by_event=st.booleans(),
)  # fmt: skip
def test_only_a_job_that_runs_and_said_so_in_this_attempt_is_ready(
    tmp_path_factory: pytest.TempPathFactory,
    job_state: str,
    told: ToldService | None,
    seen: str,
    by_event: bool,
) -> None:
    started_s = None if job_state == "PENDING" else 100.0
    ended = job_state in ("COMPLETED", "FAILED")
    found = services.shown(
        ServiceWish(ready="event" if by_event else "/h"),
        Path("/nowhere"),
        job_state,
        started_s,
        ended,
        told,
        services.Look(seen),
    )
    said = told is not None and told.since_s >= 100.0
    if found.state == "ready":
        assert job_state == "RUNNING"
        assert (
            (said and told is not None and told.state == "ready") if by_event else seen == "ready"
        )
    if ended:
        assert found.state == "ended" and found.port is None


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('protocol = "smtp"', "service.protocol"),
        ('ready = "health"', "service.ready"),
        ('ready = "/a b"', "service.ready"),
        ("drain_s = -1", "service.drain_s"),
        ("drain_s = true", "service.drain_s"),
        ("port = 80", "service.port"),
    ],
)
def test_a_manifest_that_is_wrong_about_its_service_is_told(
    tmp_path: Path, lines: str, told: str
) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    head = 'name = "served"\ntitle = "S"\nsummary = "s"\nkind = "tool"\ncommand = ["true"]\n'
    (folder / "plugin.toml").write_text(f"{head}[service]\n{lines}\n")
    with pytest.raises(UsageError, match=told):
        load(folder)


def test_waiting_until_it_is_ready_from_the_command_line(
    cockpit: Say, short_tmp: Path, server: Path
) -> None:
    folder = short_tmp / "CONFIG_HOME" / "cockpit" / "plugins" / "served"
    folder.mkdir(parents=True)
    server.rename(folder / "server.py")
    (folder / "plugin.toml").write_text(
        'name = "served"\ntitle = "S"\nsummary = "s"\nkind = "tool"\n'
        'command = ["python", "-u", "server.py", "event", "0.5"]\n'
        '[gpus]\ndefault = 0\n[service]\nprotocol = "openai"\n'
    )
    code, out, err = cockpit("run", "served", "--json")
    assert code == 0, err
    job = json.loads(out)
    code, _, err = cockpit("wait", job["id"], "--ready", "--timeout", "1s")
    assert code == 1 and "not ready after 1 s" in err
    (Path(job["directory"]) / "go").touch()
    code, _, err = cockpit("wait", job["id"], "--ready", "--timeout", "60s")
    assert code == 0 and "is ready: small, large" in err
    _, out, _ = cockpit("job", job["id"])
    assert "ready: two models · openai on 127.0.0.1:" in out
    assert "ready" in cockpit("jobs")[1]
    assert cockpit("stop", job["id"])[0] == 0
    code, _, err = cockpit("wait", job["id"], "--ready")
    assert code == 1 and "is ended" in err


def _workload(job: Job) -> int:
    """The pid of the program of a job."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes()
            environment = (directory / "environ").read_bytes()
        except OSError:
            continue
        if b"server.py" in words and f"COCKPIT_JOB_DIR={job.directory}\0".encode() in environment:
            return int(directory.name)
    raise AssertionError("the workload does not run")
