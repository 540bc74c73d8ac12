"""docs/plugins.md, followed from its first line to its last by somebody with an empty home."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent.jobs.events import EventTail
from cockpit.cli.plugin_check import EVENT_TYPES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    """Language, file name or nothing, and text of each block."""
    return FENCE.findall(GUIDE.read_text(encoding="utf-8"))


class Newcomer:
    """A home with nothing in it, where `cockpit` and `python` are found."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / ".config" / "cockpit" / "plugins" / "ripples"
        tools = home / "bin"
        tools.mkdir()
        # Not a link: a link to the interpreter of a venv would leave the venv.
        for name, words in (("cockpit", "-m cockpit"), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (tools / name).chmod(0o755)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "COCKPIT_"))
        }
        self.environment = {
            **kept,
            "HOME": str(home),
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(home),
            "COCKPIT_SOURCE": "simulated",
        }

    def type(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def newcomer() -> Iterator[Newcomer]:
    # pytest's own directories are too long for the path of a Unix socket.
    home = Path(tempfile.mkdtemp(prefix="ckg-", dir="/tmp"))
    newcomer = Newcomer(home)
    yield newcomer
    newcomer.type("cockpit agent stop --all")
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def followed(newcomer: Newcomer) -> str:
    """What all commands printed, after the files of the page were saved in its order."""
    said = ""
    for language, file, text in blocks():
        if language == "sh":
            done = newcomer.type(text)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            said += done.stdout + done.stderr
        elif file and file != "pyproject.toml":
            (newcomer.folder / file).write_text(text)
    return said


def test_every_block_is_one_that_is_run() -> None:
    assert GUIDE.read_text(encoding="utf-8").count("```") == 2 * len(blocks())
    kinds = {(language, file) for language, file, _ in blocks()}
    assert kinds == {
        ("sh", ""),
        ("json", ""),
        ("toml", "plugin.toml"),
        ("toml", "pyproject.toml"),
        ("python", "workload.py"),
        ("python", "bench.py"),
        ("python", "pictures.py"),
        ("python", "serving.py"),
        ("markdown", "README.md"),
    }


def test_every_command_of_the_page_does_what_it_says(followed: str) -> None:
    assert followed.count("no problems, no warnings.") == 2
    assert "Length of the pond's side; a whole number from 8 to 500 (cells)" in " ".join(
        followed.split()
    )
    assert re.search(r"ripples +COMPLETED", followed)
    assert "20 of 20 steps (100%)" in followed


def test_the_job_has_the_kernel_the_chart_the_picture_and_the_table(
    followed: str, newcomer: Newcomer
) -> None:
    listed = json.loads(newcomer.type("cockpit jobs --json").stdout)["jobs"]
    (run,) = [job for job in listed if (job["progress"] or {}).get("total") == 200]
    job = json.loads(newcomer.type(f"cockpit job {run['id']} --json").stdout)
    assert job["progress"]["done"] == 200
    assert [kernel["name"] for kernel in job["kernels"]] == ["leapfrog"]
    assert job["kernels"][0]["bytes_per_s"] > 0
    assert set(job["metrics"]) == {"energy"} and job["frames"] == ["water"]
    assert job["tables"] == ["drops"]


def test_the_preset_gives_what_was_not_given(followed: str, newcomer: Newcomer) -> None:
    listed = json.loads(newcomer.type("cockpit jobs --json").stdout)["jobs"]
    detached = re.search(r"detached, job (\d+) goes on", followed)
    assert detached is not None
    (storm,) = [job for job in listed if job["id"] == detached[1]]
    assert newcomer.type(f"cockpit wait {storm['id']}").returncode == 0
    chosen = json.loads((Path(storm["directory"]) / "parameters.json").read_text())
    assert chosen == {"steps": 100, "size": 120}


def test_the_benchmark_prints_its_table_and_keeps_it(followed: str) -> None:
    assert re.search(r"^Ripples on .* · no GPU$", followed, re.MULTILINE)
    assert re.search(
        r"^side +Mcells/s\n +16 +[0-9.]+\n +32 +[0-9.]+\n +64 ", followed, re.MULTILINE
    )
    (line,) = [line for line in followed.splitlines() if line.startswith('{"schema"')]
    document = json.loads(line)
    assert document["parameters"]["steps"] == 10 and len(document["rows"]) == 3
    assert Path(document["saved"]).is_file()


def test_the_pictures_and_texts_of_the_page_are_shown(
    followed: str, newcomer: Newcomer, tmp_path: Path
) -> None:
    job = f"COCKPIT_JOB_DIR={tmp_path} COCKPIT_EVENTS={tmp_path}/events.jsonl"
    done = newcomer.type(f"cd {newcomer.folder} && {job} python pictures.py")
    assert done.returncode == 0, done.stderr
    tail = EventTail(tmp_path / "events.jsonl")
    tail.read_all()
    assert set(tail.images) == {"slope"} and set(tail.texts) == {"sample"}
    data = (tmp_path / tail.images["slope"].path).read_bytes()
    assert struct.unpack_from(">II", data, 16) == (256, 64)


def test_the_service_of_the_page_is_ready_wants_its_key_and_drains(
    followed: str, newcomer: Newcomer, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    events = tmp_path / "events.jsonl"
    program = subprocess.Popen(
        [sys.executable, "serving.py"],
        cwd=newcomer.folder,
        env={
            **newcomer.environment,
            "COCKPIT_JOB_DIR": str(tmp_path),
            "COCKPIT_EVENTS": str(events),
            "COCKPIT_SERVICE_PORT": str(port),
            "COCKPIT_SERVICE_KEY": "a-key",
        },
        stderr=subprocess.DEVNULL,
    )
    tail = EventTail(events)
    try:
        deadline = time.monotonic() + 60
        while tail.service is None:
            assert time.monotonic() < deadline and program.poll() is None
            time.sleep(0.05)
            tail.read_all()
        assert (tail.service.state, tail.service.models) == ("ready", ("pond",))
        address = f"http://127.0.0.1:{port}/"
        request = urllib.request.Request(address, headers={"Authorization": "Bearer a-key"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.read() == b"still water\n"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(address, timeout=10)
    finally:
        program.terminate()
        assert program.wait(20) == 0
    tail.read_all()
    assert tail.service.state == "draining"


def test_the_package_of_the_page_brings_its_plugin(
    followed: str, newcomer: Newcomer, tmp_path: Path
) -> None:
    """As an installer would: the folder, and the entry points in the package's metadata."""
    (text,) = [text for _, file, text in blocks() if file == "pyproject.toml"]
    project = tomllib.loads(text)["project"]
    ((name, target),) = project["entry-points"]["cockpit.plugins"].items()
    shutil.copytree(newcomer.folder, tmp_path.joinpath(*target.split(".")))
    info = tmp_path / "my_ponds-1.0.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(about)
    (info / "entry_points.txt").write_text(f"[cockpit.plugins]\n{name} = {target}\n")
    alone = f"XDG_CONFIG_HOME={tmp_path} PYTHONPATH={tmp_path}"
    shown = json.loads(newcomer.type(f"{alone} cockpit plugins show {name} --json").stdout)
    assert (shown["origin"], shown["package"]) == ("package", "my-ponds 1.0")


def example_events() -> list[dict[str, object]]:
    (text,) = [text for language, _, text in blocks() if language == "json"]
    return [json.loads(line) for line in text.splitlines()]


def read(path: Path, *events: dict[str, object]) -> EventTail:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    tail = EventTail(path)
    tail.read_all()
    return tail


def test_the_events_of_the_page_can_be_read(tmp_path: Path) -> None:
    tail = read(tmp_path / "events.jsonl", *example_events())
    assert tail.bad_lines == 0
    assert tail.progress is not None and tail.roofline is not None and tail.kernels
    assert tail.images and tail.tables and tail.texts and tail.checkpoint and tail.frames
    assert {event["type"] for event in example_events()} == set(EVENT_TYPES)


def test_the_table_of_events_says_which_keys_there_must_be(tmp_path: Path) -> None:
    row = re.compile(r"^\| `(\w+)` \|(.*?)\|(.*?)\|.*\|$", re.MULTILINE)
    rows = {kind: (must, may) for kind, must, may in row.findall(GUIDE.read_text("utf-8"))}
    assert set(rows) == set(EVENT_TYPES)
    for event in example_events():
        must, may = (set(re.findall(r"`(\w+)`", cell)) for cell in rows[str(event["type"])])
        assert set(event) == must | may | {"type", "time_s"}
        for key in set(event) - {"type"}:
            without = {name: value for name, value in event.items() if name != key}
            bad = read(tmp_path / "events.jsonl", without).bad_lines
            assert bad == (key in must), f"{event['type']} without {key}"
