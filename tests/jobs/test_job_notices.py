"""Whoever wants to know that a job has ended is told once, whatever happens to the agent."""

from __future__ import annotations

import http.server
import json
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from job_bench import Bench, until

from cockpit.agent.jobs import channels
from cockpit.model import Job, wants_notice
from cockpit.settings import AgentSettings, NotifySettings

JOB = Job("3", "training", "cfd", ("x",), "FAILED", "exit code 1", started_s=100.0, ended_s=165.0)
NOTE = channels.note_of(JOB, "tower", "job.ended", "d1")


class Hook:
    """A real HTTP server that keeps what it was sent and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.answers: list[int] = []
        self.block = threading.Event()
        self.block.set()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((dict(self.headers), json.loads(body)))
                hook.block.wait(30)
                code = hook.answers.pop(0) if hook.answers else 200
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.block.set()
    hook.server.shutdown()
    hook.server.server_close()


def no_pause(_: float) -> None:
    pass


def test_a_webhook_gets_the_job_and_the_private_headers(hook: Hook) -> None:
    assert channels.post(hook.address, {"Authorization": "Bearer x"}, NOTE) == ""
    ((headers, body),) = hook.requests
    assert headers["Authorization"] == "Bearer x"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Cockpit-Delivery"] == body["delivery"] == "d1"
    assert (body["event"], body["box"], body["job"]["id"]) == ("job.ended", "tower", "3")
    assert body["text"] == "Job 3 (training) FAILED after 1 min 5 s on tower: exit code 1"


def test_a_server_in_trouble_is_asked_again_and_one_that_refuses_is_not(hook: Hook) -> None:
    pauses: list[float] = []
    hook.answers = [500, 429, 200]
    assert channels.post(hook.address, {}, NOTE, sleep=pauses.append) == ""
    assert (len(hook.requests), pauses) == (3, [1.0, 5.0])
    hook.requests.clear()
    hook.answers = [503] * 4
    problem = channels.post(hook.address, {}, NOTE, sleep=no_pause)
    assert problem == "127.0.0.1: it answered 503 Service Unavailable (4 attempts)"
    hook.requests.clear()
    hook.answers = [403]
    assert channels.post(hook.address, {}, NOTE, sleep=no_pause).endswith("403 Forbidden")
    assert len(hook.requests) == 1


def test_a_redirect_gets_no_headers(hook: Hook) -> None:
    hook.answers = [302]
    problem = channels.post(hook.address, {"Authorization": "x"}, NOTE, sleep=no_pause)
    assert "it answered 302" in problem and len(hook.requests) == 1


def test_a_server_that_is_not_there_is_told_without_its_address() -> None:
    problem = channels.post("http://127.0.0.1:9/secret-token", {}, NOTE, sleep=no_pause)
    assert "127.0.0.1: it cannot be reached" in problem and "Connection refused" in problem
    assert "secret-token" not in problem


def script(place: Path, code: str) -> str:
    path = place / "told.py"
    path.write_text(code)
    return shlex.join([sys.executable, str(path)])


KEEP = """
import json, os, sys
note = json.load(sys.stdin)
with open({file!r}, "a") as file:
    print(os.environ["COCKPIT_JOB_ID"], os.environ["COCKPIT_JOB_NAME"], note["job"]["state"],
          os.environ["COCKPIT_JOB_SECONDS"] != "", file=file)
"""


def test_a_command_gets_the_job_and_no_shell_reads_its_name(tmp_path: Path) -> None:
    evil = replace(JOB, name="$(touch evil); `touch evil`", ended_s=None)
    command = (
        f"{script(tmp_path, 'import os; print(os.environ)')} '$COCKPIT_JOB_NAME' \"two words\""
    )
    keep = tmp_path / "argv"
    (tmp_path / "told.py").write_text(
        f"import os, sys\nopen({str(keep)!r}, 'w').write("
        "repr([sys.argv[1:], os.environ['COCKPIT_JOB_NAME'], os.environ['COCKPIT_JOB_SECONDS']]))"
    )
    assert channels.run_command(command, channels.note_of(evil, "b", "job.ended", "d")) == ""
    assert eval(keep.read_text()) == [["$COCKPIT_JOB_NAME", "two words"], evil.name, ""]
    assert not (tmp_path / "evil").exists() and not Path("evil").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit('no bell\\nhere')", "exit code 1: here"),
        ("import time; time.sleep(600)", "it took longer than 0.5 s and was ended"),
        ("import os, time; os.fork() or time.sleep(2)", ""),
    ],
)
def test_a_command_that_fails_or_hangs_is_told(tmp_path: Path, code: str, words: str) -> None:
    begun = time.monotonic()
    assert channels.run_command(script(tmp_path, code), NOTE, timeout_s=0.5) == words
    assert time.monotonic() - begun < 20


def test_a_command_that_is_not_there_is_told() -> None:
    told = channels.run_command("/nowhere/bell", NOTE)
    assert told == "cannot run it: No such file or directory"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"state": "RUNNING"}, False),
        ({"state": "CANCELLED"}, False),
        ({"state": "CANCELLED", "notify": True}, True),
        ({"notify": False}, False),
        ({"ended_s": 130.0}, False),
        ({"ended_s": 130.0, "notify": True}, True),
        ({"started_s": None}, False),
    ],
)
def test_short_jobs_and_wanted_ends_are_not_told(changes: dict[str, Any], expected: bool) -> None:
    settings = NotifySettings()
    assert wants_notice(replace(JOB, **changes), settings.when, settings.min_seconds) is expected


Made = Callable[..., Any]


@pytest.fixture
async def told(short_tmp: Path, hook: Hook) -> Any:
    """A bench whose agent tells `hook`, and a command that keeps what it is told in a file."""
    file = short_tmp / "told"
    command = script(short_tmp, KEEP.format(file=str(file)))
    bench = Bench(short_tmp / "jobs")
    bench.settings = AgentSettings(
        notify=NotifySettings(command=command, webhook=hook.address, min_seconds=0.0)
    )
    bench.service = bench._make()
    await bench.start()
    yield bench, file
    await bench.stop_all()
    await bench.service.close()


async def settled(bench: Bench) -> None:
    await until(lambda: not bench.service.busy(), "the telling")


async def test_each_end_is_told_once_also_by_another_agent(told: Any, hook: Hook) -> None:
    bench, file = told
    good = await bench.end(await bench.submit("true", name="good"))
    bad = await bench.end(await bench.submit("false", name="bad"))
    await bench.end(await bench.submit("true", name="silent", notify=False))
    await settled(bench)
    expected = [f"{good.id} good COMPLETED True", f"{bad.id} bad FAILED True"]
    assert file.read_text().splitlines() == expected
    assert [body["job"]["name"] for _, body in hook.requests] == ["good", "bad"]
    bench.path(good, "ended.json").unlink()
    await bench.restart()
    await settled(bench)
    assert file.read_text().splitlines() == expected and len(hook.requests) == 2
    assert not list((bench.directory.parent / "outbox").glob("*.json"))


async def test_a_job_that_ended_while_no_agent_lived_is_told_by_the_next(
    told: Any, hook: Hook
) -> None:
    bench, file = told
    job = await bench.submit("sleep", "0.5", name="alone")
    await until(lambda: bench.status(job).get("pid"), "the start")
    await bench.service.close()
    await until(lambda: "ended_s" in bench.status(job), "the end")
    assert hook.requests == []
    await bench.restart()
    await settled(bench)
    assert [body["job"]["state"] for _, body in hook.requests] == ["COMPLETED"]
    assert file.read_text() == f"{job.id} alone COMPLETED True\n"


async def test_an_agent_that_died_while_it_told_goes_on_with_the_same_delivery(
    told: Any, hook: Hook
) -> None:
    bench, file = told
    hook.block.clear()
    await bench.end(await bench.submit("true", name="cut"))
    await until(lambda: hook.requests and file.exists(), "the first attempt")
    await bench.restart()
    hook.block.set()
    await settled(bench)
    deliveries = {body["delivery"] for _, body in hook.requests}
    assert len(deliveries) == 1 and 1 <= len(hook.requests) <= 2
    assert len(file.read_text().splitlines()) == 1


async def test_what_cannot_be_told_is_an_event_and_hurts_no_job(
    told: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = told
    hook.answers = [403]
    job = await bench.end(await bench.submit("true"))
    await settled(bench)
    assert job.state == "COMPLETED"
    (event,) = [event for event in bench.events if "could not be told" in event.text]
    assert event.severity == "warning" and event.job == job.id
    assert "by the webhook: 127.0.0.1: it answered 403" in event.text and "/hook" not in event.text


async def test_everything_can_be_tried_before(told: Any, hook: Hook) -> None:
    bench, _ = told
    hook.answers = [500]
    results = (await bench.call("notify.test"))["results"]
    assert [(each["channel"], each["ok"]) for each in results] == [
        ("command", True),
        ("webhook", False),
    ]
    assert hook.requests[0][1]["event"] == "test" and len(hook.requests) == 1
