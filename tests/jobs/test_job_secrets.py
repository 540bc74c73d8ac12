"""A secret reaches the job's environment, and no file, log, event, argument or other process."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
from job_bench import Bench, alive, until

from cockpit import codec
from cockpit.agent.jobs import retries
from cockpit.cli.main import main
from cockpit.cli.secret_options import values
from cockpit.errors import UsageError
from cockpit.model import Job, JobRequest
from cockpit.protocol import RpcError

MARK = f"hunter2-{uuid.uuid4().hex}"
"""No other process of this machine has it, another run of these tests included."""
VALUE = f"{MARK}-äöü"
DIGEST = 'printf %s "$TOKEN" | sha256sum | cut -c1-8'


async def submit(bench: Bench, *command: str, **options: Any) -> Job:
    request = JobRequest("work", command, secrets=("TOKEN",), **{"gpus": 0, **options})
    params = json.loads(codec.dumps(request)) | {"secret_values": {"TOKEN": VALUE}}
    job: Job = await bench.service.methods["job.submit"](params)
    return job


def files_with(value: str, directory: Path) -> list[Path]:
    wanted = value.encode()
    return [path for path in directory.rglob("*") if path.is_file() and wanted in path.read_bytes()]


def processes_with(value: str, file: str) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if value.encode() in (entry / file).read_bytes():
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


async def test_the_value_is_in_the_environment_of_the_job_and_nowhere_else(
    bench: Bench, short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = f"{DIGEST}; echo ready; sleep 600 & echo $!; wait"
    job = await submit(bench, "bash", "-c", script)
    assert job.secrets == ("TOKEN",)
    await until(lambda: len(bench.log(job).split()) == 3, "the output")
    status = bench.status(job)
    child = int(bench.log(job).split()[2])
    assert files_with(MARK, short_tmp) == []
    assert processes_with(MARK, "cmdline") == set()
    assert processes_with(MARK, "environ") == {status["pid"], child}
    shown = repr((await bench.call("job.list"), bench.published, bench.events))
    assert "hunter2" not in shown + caplog.text
    # The file in memory that handed it over is closed.
    descriptors = Path(f"/proc/{status['shim_pid']}/fd").iterdir()
    assert not [link for link in descriptors if "memfd" in os.readlink(link)]  # noqa: PTH115
    await bench.stop(job)
    digest = bench.log(job).split()[0]
    assert digest == hashlib.sha256(VALUE.encode()).hexdigest()[:8]


async def test_a_job_that_waits_keeps_it_and_one_that_tries_again_gets_it_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_S", 0.05)
    script = '[ -e twice ] && echo "${#TOKEN}" && exit 0; touch twice; exit 3'
    job = await submit(bench, "bash", "-c", script, retries=1)
    await until(lambda: bench.path(job, "attempts/1.json").exists(), "the first attempt's end")

    await until(lambda: bench.log(job) or bench.observe(), "the second attempt")
    assert (await bench.end(job)).state == "COMPLETED"
    assert bench.log(job) == f"{len(VALUE)}\n"


async def test_an_agent_that_lost_it_cancels_the_job_at_once_and_says_what_to_do(
    bench: Bench,
) -> None:
    first = await bench.submit("sleep", "600", gpus=4)
    waiting = await submit(bench, "touch", "ran", gpus=1)
    assert waiting.state == "PENDING"
    await bench.restart(observed=False)
    lost = await bench.show(waiting)
    assert lost.state == "CANCELLED"
    assert f"`cockpit requeue {waiting.id} --secret TOKEN`" in lost.reason
    await bench.stop(first)
    bench.observe()
    with pytest.raises(RpcError, match="no value for the secret TOKEN"):
        await bench.call("job.requeue", id=waiting.id)
    again = await bench.call("job.requeue", id=waiting.id, secret_values={"TOKEN": "new"})
    assert (await bench.end(again)).state == "COMPLETED"
    assert again.requeued_from == waiting.id


async def test_a_running_job_does_not_mind_that_its_agent_ends(bench: Bench) -> None:
    job = await submit(
        bench, "bash", "-c", f"echo $$; while [ ! -e go ]; do sleep 0.02; done; {DIGEST}"
    )
    pid = await bench.pid_in_log(job)
    await bench.restart()
    assert alive(pid)
    bench.path(job, "go").touch()
    assert (await bench.end(job)).state == "COMPLETED"


async def test_when_the_shim_is_killed_no_file_has_it(bench: Bench, short_tmp: Path) -> None:
    job = await submit(bench, "bash", "-c", "echo $$; sleep 600")
    await bench.pid_in_log(job)
    os.kill(bench.status(job)["shim_pid"], signal.SIGKILL)
    assert (await bench.end(job)).state == "LOST"
    assert files_with(MARK, short_tmp) == []


@pytest.mark.parametrize(
    ("secrets", "given", "words"),
    [
        (["A B"], {"A B": VALUE}, "letters, digits and _"),
        (["COCKPIT_EVENTS"], {"COCKPIT_EVENTS": VALUE}, "set by cockpit itself"),
        (["CUDA_VISIBLE_DEVICES"], {"CUDA_VISIBLE_DEVICES": VALUE}, "set by cockpit itself"),
        (["PATH"], {"PATH": VALUE}, "a secret and a plain variable at once"),
        (["TOKEN"], {}, "no value for the secret TOKEN"),
        (["TOKEN"], {"TOKEN": VALUE + "\0"}, "the secret TOKEN holds a NUL byte"),
        (["TOKEN"], {"TOKEN": VALUE * 20_000}, "longer than a variable can be"),
        (["TOKEN"], {"TOKEN": [VALUE]}, "must be an object of texts"),
        (["TOKEN"], [VALUE], "must be an object of texts"),
    ],
)
async def test_what_cannot_be_a_secret_is_refused_without_its_value(
    bench: Bench, secrets: list[str], given: object, words: str
) -> None:
    request = {"name": "x", "command": ["true"], "gpus": 0, "environment": {"PATH": "/bin"}}
    with pytest.raises(RpcError) as caught:
        await bench.call("job.submit", **request, secrets=secrets, secret_values=given)
    text = f"{caught.value.message} {caught.value.advice}"
    assert words in text and "hunter2" not in text
    assert (await bench.call("job.list"))["jobs"] == []


def test_values_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("TOKEN", VALUE)
    found = values(["TOKEN", f"KEY=@{tmp_path}/key"])
    assert found == {"TOKEN": VALUE, "KEY": "from a file"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("TOKEN=hunter2", "a value on a command line is no secret"),
        ("hunter2!", "letters, digits and _"),
        ("COCKPIT_JOB_ID", "set by cockpit itself"),
        ("NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE is not set here"),
        ("TOKEN=@/no/where", "No such file"),
    ],
)
def test_a_value_on_the_command_line_is_refused_and_not_repeated(given: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        values([given])
    text = f"{caught.value} {caught.value.advice}"
    assert words in text and "hunter2" not in text


@pytest.mark.parametrize("command", ["run", "exec", "requeue"])
def test_every_command_that_starts_a_job_takes_secrets(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = {"run": ["cfd"], "exec": ["--", "true"], "requeue": ["1"]}[command]
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["--simulate", command, "--secret", "TOKEN=hunter2", *rest]))
    assert ended.value.code == 2
    assert "a value on a command line is no secret" in capsys.readouterr().err
