"""From the command line to a process and back, through a real agent on the simulated box."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.cli.main import main

CONTRACT = (
    *("id", "name", "plugin", "command", "state", "reason", "box", "gpus", "slices"),
    *("submitted_s", "started_s", "ended_s", "exit_code", "progress", "metrics"),
    *("energy_j", "cost", "gpu_seconds"),
)

PLUGIN = """
name = "greeter"
title = "Greeter"
summary = "Says hello."
kind = "tool"
command = ["python", "greet.py"]
[gpus]
min = 0
default = 1
max = 2
[parameters.whom]
type = "str"
default = "world"
[parameters.times]
type = "int"
default = 1
minimum = 1
maximum = 9
[presets.crowd]
title = "A crowd of 100 %"
gpus = 2
parameters = { whom = "everybody", times = 2 }
"""

GREET = """
from cockpit.sdk import job
for number in range(job.parameters["times"]):
    print("hello", job.parameters["whom"])
    job.progress(number + 1, job.parameters["times"])
job.metrics(step=1, warmth=37.5)
"""


class Shell:
    """Runs `cockpit --simulate` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.capture: pytest.CaptureFixture[bytes] | None = None
        names = ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME")
        self.environment = {
            **{name: value for name, value in os.environ.items() if "COCKPIT" not in name},
            **{f"XDG_{name}": str(home / name) for name in names},
        }
        for name in names:
            (home / name).mkdir(mode=0o700)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "cockpit", "--simulate", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.home,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """The same in this process, which is quicker; `capture` has what it prints."""
        assert self.capture is not None
        self.capture.readouterr()
        try:
            code = main(["--simulate", *words])
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = self.capture.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    def json(self, *words: str) -> Any:
        done = self.run(words[0], "--json", *words[1:])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    home = Path(tempfile.mkdtemp(prefix="ckr-", dir="/tmp"))
    shell = Shell(home)
    folder = home / "CONFIG_HOME/cockpit/plugins/greeter"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text(PLUGIN)
    (folder / "greet.py").write_text(GREET)
    yield shell
    jobs = json.loads(shell.start("jobs", "--json").communicate(timeout=60)[0])["jobs"]
    for job in jobs:
        if job["ended_s"] is None:
            shell.start("stop", "--grace", "0", job["id"]).communicate(timeout=60)
    shell.start("agent", "stop", "--all").communicate(timeout=60)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def at_home(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Commands in this process run where those in others do."""
    for name in [name for name in os.environ if name not in shell.environment]:
        monkeypatch.delenv(name)
    for name, value in shell.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(shell.home)
    shell.capture = capsysbinary


def test_exec_follows_the_log_byte_by_byte_and_ends_as_the_job_did(shell: Shell) -> None:
    done = shell.run("exec", "--", "bash", "-c", r"printf 'a\xff\n'; echo b >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, b"a\xff\nb\n")
    assert b"SIMULATED" in done.stderr and b"FAILED: exit code 7" in done.stderr


def test_exec_runs_here_with_this_path_and_the_variables_that_were_named(shell: Shell) -> None:
    done = shell.run(
        "exec", "--gpus", "0", "--env", "A=b", "--", "bash", "-c", "echo $PWD $A $PATH"
    )
    assert done.stdout.decode().split() == [str(shell.home), "b", os.environ["PATH"]]


def test_the_json_contract_of_one_job_through_its_life(shell: Shell) -> None:
    command = ["bash", "-c", "echo up; exec sleep 600"]
    job = shell.json("exec", "--gpus", "2", "--name", "nap", "--", *command)
    assert tuple(job)[: len(CONTRACT)] == CONTRACT
    assert (job["name"], job["plugin"], job["command"]) == ("nap", None, command)
    assert (job["state"], len(job["gpus"]), job["ended_s"]) == ("RUNNING", 2, None)
    listed = shell.json("jobs")
    assert listed["schema"] == 1
    assert listed["jobs"][0]["id"] == job["id"]
    while not shell.run("logs", job["id"]).stdout:
        assert shell.json("job", job["id"])["state"] == "RUNNING"
    stopped = shell.json("stop", job["id"])
    assert (stopped["state"], stopped["gpus"]) == ("CANCELLED", job["gpus"])
    ended = shell.json("job", job["id"])
    assert ended["ended_s"] is not None and ended["exit_code"] == 128 + signal.SIGTERM
    assert shell.run("wait", job["id"]).returncode == 128 + signal.SIGTERM


def test_a_plugin_runs_with_its_parameters_and_reports(shell: Shell) -> None:
    done = shell.run("run", "greeter", "--whom", "you", "--times", "2")
    assert (done.returncode, done.stdout) == (0, b"hello you\nhello you\n"), done.stderr
    (job,) = [each for each in shell.json("jobs")["jobs"] if each["plugin"] == "greeter"]
    assert job["progress"]["done"] == job["progress"]["total"] == 2
    assert job["metrics"] == {"warmth": 37.5}
    assert len(job["gpus"]) == 1


def test_options_may_stand_before_and_after_the_plugin(shell: Shell) -> None:
    job = shell.json("run", "--gpus", "2", "greeter", "--name", "twice")
    assert (job["name"], len(job["gpus"])) == ("twice", 2)
    assert shell.run("wait", job["id"]).returncode == 0


def test_a_preset_fills_in_what_is_not_given(shell: Shell) -> None:
    words = ("run", "--preset", "crowd", "greeter", "--times", "1")
    assert shell.run(*words).stdout == b"hello everybody\n"
    job = shell.json("run", "greeter", "--preset", "crowd", "--gpus", "1")
    assert len(job["gpus"]) == 1
    assert shell.run("wait", job["id"]).returncode == 0
    assert shell.run("logs", job["id"]).stdout == 2 * b"hello everybody\n"


def test_the_help_of_a_plugin_lists_its_parameters_and_presets(shell: Shell) -> None:
    page = shell.run("run", "greeter", "--help")
    assert page.returncode == 0
    assert b"--whom" in page.stdout and b"whole number from 1 to 9" in page.stdout
    assert "crowd: A crowd of 100 %" in " ".join(page.stdout.decode().split())


def test_a_job_that_takes_too_long_ends_with_its_reason(shell: Shell) -> None:
    done = shell.run("exec", "--gpus", "0", "--time-limit", "0.5s", "--", "sleep", "600")
    assert done.returncode == 128 + signal.SIGTERM
    assert b"TIMEOUT: reached its time limit of 0.5 s" in done.stderr


def test_a_job_comes_after_another_one(shell: Shell) -> None:
    script = "while [ ! -e after-go ]; do sleep 0.02; done; echo one >> order"
    first = shell.json("exec", "--gpus", "0", "--", "bash", "-c", script)
    process = shell.start(
        *("exec", "--gpus", "0", "--after", first["id"], "--", "bash", "-c", "echo two >> order")
    )
    assert process.stderr is not None
    told = (process.stderr.readline() + process.stderr.readline()).decode()
    assert f"is waiting: waiting for job {first['id']} to complete" in told
    (shell.home / "after-go").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (shell.home / "order").read_text() == "one\ntwo\n"


def test_ctrl_c_detaches_and_the_job_goes_on(shell: Shell) -> None:
    process = shell.start("exec", "--gpus", "0", "--", "bash", "-c", "echo here; sleep 600")
    assert process.stdout is not None and process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    newest = shell.json("jobs")["jobs"][0]
    assert process.returncode == 130
    assert f"detached, job {newest['id']} goes on".encode() in err
    assert b"Traceback" not in err
    assert newest["state"] == "RUNNING"
    assert shell.run("stop", newest["id"]).returncode == 0


def test_following_goes_on_when_the_agent_is_killed(shell: Shell) -> None:
    script = "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; exit 3"
    process = shell.start("exec", "--gpus", "1", "--", "bash", "-c", script)
    assert process.stdout is not None and process.stdout.readline() == b"one\n"
    (agent,) = shell.json("agent", "status")["agents"]
    os.kill(agent["pid"], signal.SIGKILL)
    (shell.home / "go").touch()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, b"two\n"), err
    job = shell.json("jobs")["jobs"][0]
    assert (job["state"], job["exit_code"], len(job["gpus"])) == ("FAILED", 3, 1)


def test_logs_are_followed_until_the_job_ends(shell: Shell) -> None:
    script = "echo first; while [ ! -e more ]; do sleep 0.02; done; echo second"
    job = shell.json("exec", "--gpus", "0", "--", "bash", "-c", script)
    process = shell.start("logs", "-f", job["id"])
    assert process.stdout is not None and process.stdout.readline() == b"first\n"
    (shell.home / "more").touch()
    assert process.communicate(timeout=60)[0] == b"second\n"
    assert shell.run("logs", job["id"]).stdout == b"first\nsecond\n"


def test_the_events_of_a_job_are_printed_and_followed_until_it_ends(shell: Shell) -> None:
    first, second = b'{"type":"note","text":"\xc3\xa9"}', b'{"type":"progress","done":1,"total":2}'
    script = (
        f"echo '{first.decode()}' >> $COCKPIT_EVENTS; while [ ! -e events-go ]; do sleep 0.02; done;"
        f" echo '{second.decode()}' >> $COCKPIT_EVENTS"
    )
    job = shell.json("exec", "--gpus", "0", "--", "bash", "-c", script)
    process = shell.start("events", job["id"], "-f", "--json")
    assert process.stdout is not None and process.stdout.readline() == first + b"\n"
    (shell.home / "events-go").touch()
    assert process.communicate(timeout=60)[0] == second + b"\n"
    done = shell.run("events", job["id"], "--json")
    assert (done.returncode, done.stdout) == (0, first + b"\n" + second + b"\n")
    lines = shell.run("events", job["id"]).stdout.decode().splitlines()
    assert [line.split()[1] for line in lines] == ["note", "progress"]
    assert lines[0].endswith('{"text": "é"}') and lines[1].endswith("1 of 2 (50%)")


def test_ended_jobs_are_requeued_and_removed(shell: Shell) -> None:
    running = shell.json("exec", "--gpus", "0", "--", "sleep", "600")
    old = shell.json("exec", "--gpus", "0", "--", "bash", "-c", "echo again")
    assert shell.run("wait", old["id"]).returncode == 0
    new = shell.json("requeue", old["id"])
    assert shell.run("wait", new["id"]).returncode == 0
    assert (new["requeued_from"], shell.run("logs", new["id"]).stdout) == (old["id"], b"again\n")
    refused = shell.run("rm", old["id"], running["id"])
    assert refused.returncode == 1 and f"cockpit stop {running['id']}".encode() in refused.stderr
    assert shell.json("rm", old["id"], old["id"])["removed"] == [old["id"]]
    assert shell.run("job", old["id"]).returncode == 1
    assert shell.run("job", new["id"]).returncode == 0
    assert shell.run("stop", "--grace", "0", running["id"]).returncode == 0


def test_every_ended_job_is_removed_after_a_yes(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = shell.json("exec", "--gpus", "0", "--", "sleep", "600")
    assert shell.run("exec", "--gpus", "0", "--", "true").returncode == 0
    before = shell.json("jobs")["jobs"]
    answers = io.StringIO("n\ny\n")
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", answers)
    declined = shell.run("rm", "--ended")
    assert declined.returncode == 1 and b"[y/N]" in declined.stderr
    assert len(shell.json("jobs")["jobs"]) == len(before)
    assert shell.run("rm", "--ended").returncode == 0
    assert [job["id"] for job in shell.json("jobs")["jobs"]] == [running["id"]]
    done = shell.run("rm", "--ended", "--yes")
    assert done.returncode == 0 and b"nothing to remove" in done.stderr
    assert shell.run("stop", "--grace", "0", running["id"]).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "nothing"), 2, "there is no plugin 'nothing'"),
        (("run", "greeter", "--times", "10"), 2, "times: got 10, wants a whole number from 1 to 9"),
        (("run", "greeter", "--preset", "few"), 2, "greeter has no preset 'few'"),
        (("run", "greeter", "--gpus", "3"), 2, "greeter runs on 0 to 2 GPUs, not on 3"),
        (("exec",), 2, "there is no command"),
        (("exec", "--gpus", "some", "--", "true"), 2, "there is no GPU 'some'"),
        (("exec", "--gpus", "11", "--", "true"), 1, "this box has 10: ask for at most 10"),
        (("exec", "--workdir", "/no/where", "--", "true"), 2, "/no/where is not a directory"),
        (("events", "99999"), 1, "there is no job 99999 here"),
        (("exec", "--time-limit", "soon", "--", "true"), 2, "--time-limit: 'soon'"),
        (("run", "greeter", "--time-limit", "0"), 2, "--time-limit: '0'"),
        (("exec", "--after", "99999", "--", "true"), 1, "there is no job 99999 here"),
        (("rm",), 2, "remove which jobs?"),
        (("rm", "1", "--ended"), 2, "remove which jobs?"),
        (("rm", "--ended"), 2, "Add --yes"),
        (("rm", "99999"), 1, "there is no job 99999 here"),
        (("requeue", "99999"), 1, "there is no job 99999 here"),
        (("stop", "99999"), 1, "there is no job 99999 here"),
        (("stop", "--grace", "long", "1"), 2, "--grace: 'long'"),
        (("plugins", "show"), 2, "show what?"),
    ],
)
def test_bad_use_is_told_in_words(
    shell: Shell, words: tuple[str, ...], code: int, told: str
) -> None:
    done = shell.run(*words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr.decode() and "Traceback" not in done.stderr.decode()


def test_a_broken_plugin_is_listed_as_broken(shell: Shell) -> None:
    folder = shell.home / "CONFIG_HOME/cockpit/plugins/sick"
    folder.mkdir()
    (folder / "plugin.toml").write_text('name = "sick"')
    done = shell.run("plugins")
    shutil.rmtree(folder)
    assert done.returncode == 1
    assert b"greeter" in done.stdout and b"Says hello." in done.stdout
    assert b"sick is broken" in done.stderr


def test_a_secret_of_this_shell_reaches_its_job_and_no_file(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    script = 'echo "${#TOKEN}"; [ -n "$ALSO" ]'
    (shell.home / "also").write_text("hunter3\n")
    options = ("--gpus", "0", "--secret", "TOKEN", "--secret", f"ALSO=@{shell.home}/also")
    done = shell.run("exec", *options, "--", "bash", "-c", script)
    assert (done.returncode, done.stdout) == (0, b"7\n")
    files = [path for path in shell.home.rglob("*") if path.is_file() and path.name != "also"]
    assert files and not [path for path in files if b"hunter" in path.read_bytes()]
    plain = shell.run("exec", "--gpus", "0", "--", "bash", "-c", 'echo "[$TOKEN]"')
    assert plain.stdout == b"[]\n"


def test_exec_runs_here_there_or_in_a_copy(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    there = shell.home / "there"
    there.mkdir()
    monkeypatch.chdir(shell.home)
    where = ("--gpus", "0", "--", "pwd")
    assert shell.run("exec", *where).stdout.decode().strip() == str(shell.home)
    assert shell.run("exec", "--chdir", "there", *where).stdout.decode().strip() == str(there)
    copy = shell.run("exec", "--workdir", "there", *where).stdout.decode().strip()
    assert copy.startswith(str(shell.home / "STATE_HOME")) and copy.endswith("/workdir")
    both = shell.run("exec", "--workdir", "there", "--chdir", "there", *where)
    assert both.returncode == 2 and b"not allowed with argument" in both.stderr


def test_what_is_waited_for_is_printed_as_one_job_object_a_line(shell: Shell) -> None:
    jobs = [
        shell.json("exec", "--gpus", "0", "--", "bash", "-c", f"exit {code}") for code in (0, 3)
    ]
    done = shell.run("wait", "--json", *(job["id"] for job in jobs))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(job["id"], job["state"], job["exit_code"]) for job in lines] == [
        (jobs[0]["id"], "COMPLETED", 0),
        (jobs[1]["id"], "FAILED", 3),
    ]
    assert done.returncode == 3
