"""The files of a job: listed, read by offset, copied here whole, and never more than its own."""

from __future__ import annotations

import base64
import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_bench import Bench, Say

from cockpit.agent.jobs import files
from cockpit.cli import copying
from cockpit.client import Box
from cockpit.model import JobFile
from cockpit.protocol import RpcError

MAKE = """
cd $COCKPIT_JOB_DIR; mkdir -p results/deep; echo hello > results/a.txt; chmod 640 results/a.txt
head -c 3000000 /dev/urandom > results/deep/big.bin; : > results/empty
ln -s a.txt results/link; ln -s /etc/passwd results/out; mkfifo results/pipe
printf x > "results/$(printf 'bad\\377name')"
"""


async def made(bench: Bench, script: str = MAKE) -> str:
    return (await bench.end(await bench.submit("bash", "-c", script))).id


async def test_everything_below_a_path_is_listed_with_what_it_is(bench: Bench) -> None:
    job = await made(bench)
    answer = await bench.call("job.files", id=job, path="results")
    kinds = {entry["path"]: entry["kind"] for entry in answer["entries"]}
    assert kinds == {
        "a.txt": "file",
        "deep": "folder",
        "deep/big.bin": "file",
        "empty": "file",
        "link": "link",
        "out": "link",
        "pipe": "other",
        "bad\\xffname": "unnameable",
    }
    sizes = {entry["path"]: entry["size"] for entry in answer["entries"]}
    assert (sizes["a.txt"], sizes["deep/big.bin"], sizes["empty"]) == (6, 3_000_000, 0)
    one = await bench.call("job.files", id=job, path="results/a.txt")
    assert [(entry["path"], entry["mode"]) for entry in one["entries"]] == [("", 0o640)]


async def test_pages_of_a_listing_are_the_whole_listing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "cd $COCKPIT_JOB_DIR; mkdir -p t/{a,a-b,a0,b/c}; touch t/{a,a-b,a0,b,b/c}/{1,2,3} t/a.b"
    )
    job = await made(bench, script)
    whole = await bench.call("job.files", id=job, path="t")
    monkeypatch.setattr(files, "PAGE", 2)
    found, after = [], ""
    while True:
        page = await bench.call("job.files", id=job, path="t", after=after)
        found += page["entries"]
        if not page["more"]:
            break
        after = page["entries"][-1]["path"]
    assert found == whole["entries"] and len(found) == 21


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("..", "outside"),
        ("../2/spec.json", "outside"),
        ("results/../../..", "outside"),
        ("/etc/passwd", "outside"),
        ("elsewhere/passwd", "outside"),
        ("service.json", "not given out"),
        ("./x/../service.json", "not given out"),
        ("nothing/here", "has no 'nothing/here'"),
        ("a\0b", "must be text"),
    ],
)
async def test_nothing_but_the_jobs_own_files_is_given_out(
    bench: Bench, path: str, told: str
) -> None:
    job = await made(bench, "cd $COCKPIT_JOB_DIR; ln -s /etc elsewhere; echo key > service.json")
    for method in ("job.files", "job.read"):
        with pytest.raises(RpcError, match=told):
            await bench.call(method, id=job, path=path)
    listed = await bench.call("job.files", id=job)
    paths = [entry["path"] for entry in listed["entries"]]
    assert "service.json" not in paths and "elsewhere" in paths
    assert not any(path.startswith("elsewhere/") for path in paths)


async def test_a_link_is_never_read_through_and_a_pipe_never_waited_for(bench: Bench) -> None:
    job = await made(bench)
    for path in ("results/out", "results/link", "results/pipe", "results"):
        with pytest.raises(RpcError):
            await bench.call("job.read", id=job, path=path)


async def test_bytes_are_read_from_any_offset(bench: Bench) -> None:
    job = await made(bench)
    content = (bench.directory / job / "results/deep/big.bin").read_bytes()
    for offset, limit in ((0, 10), (2_999_990, 100), (5_000_000, 10), (1, 1 << 30)):
        answer = await bench.call(
            "job.read", id=job, path="results/deep/big.bin", offset=offset, limit=limit
        )
        expected = content[offset : offset + min(limit, 1 << 20)]
        assert base64.b64decode(answer["data"]) == expected and answer["size"] == len(content)


class CutOffError(Exception):
    """The program ends here."""


class FolderBox(Box):
    """Reads a folder of this machine as if it were a job's, and may break or change it meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reads = 0
        self.at_read: dict[int, object] = {}

    async def job_read(self, job_id: str, path: str, offset: int, limit: int) -> dict[str, object]:
        self.reads += 1
        happening = self.at_read.pop(self.reads, None)
        if isinstance(happening, BaseException):
            raise happening
        if callable(happening):
            happening()
        status = (self.folder / path).stat()
        data = (self.folder / path).read_bytes()[offset : offset + limit]
        return {"data": base64.b64encode(data).decode(), **files._version(status)}


def entry_of(path: Path, name: str) -> JobFile:
    status = path.stat()
    return JobFile(name, "file", status.st_size, status.st_mtime_ns, status.st_ino, 0o600)


@settings(max_examples=40)
@given(
    size=st.integers(0, 300_000),
    broken=st.lists(st.integers(1, 12), max_size=3),
    again=st.booleans(),
)
async def test_a_copy_that_is_cut_off_anywhere_goes_on_and_is_the_file(
    tmp_path_factory: pytest.TempPathFactory, size: int, broken: list[int], again: bool
) -> None:
    folder, target = tmp_path_factory.mktemp("there"), tmp_path_factory.mktemp("here")
    content = os.urandom(size)
    (folder / "data").write_bytes(content)
    entry = entry_of(folder / "data", "data")
    box = FolderBox(folder)
    for at in broken:
        box.at_read = {box.reads + at: CutOffError()}
        try:
            await copying.Copy(box, "1").take("", [entry], target)
        except CutOffError:
            continue
    box.at_read = {}
    copy = copying.Copy(box, "1")
    await copy.take("", [entry], target)
    assert (target / "data").read_bytes() == content
    assert [path.name for path in target.iterdir()] == ["data"]
    before = box.reads
    copy = copying.Copy(box, "1")
    await copy.take("", [entry], target)
    assert (copy.done.already, box.reads) == (1, before)


async def test_a_file_that_is_replaced_meanwhile_is_begun_again(tmp_path: Path) -> None:
    folder, target = tmp_path / "there", tmp_path / "here"
    for each in (folder, target):
        each.mkdir()
    (folder / "data").write_bytes(b"a" * 200_000)
    box = FolderBox(folder)

    def replaced() -> None:
        (folder / "new").write_bytes(b"b" * 100_000)
        (folder / "new").replace(folder / "data")

    box.at_read = {2: replaced}
    copy = copying.Copy(box, "1")
    await copy.take("", [entry_of(folder / "data", "data")], target)
    assert (target / "data").read_bytes() == b"b" * 100_000
    assert copy.done.left_out == []


async def test_a_file_that_grows_meanwhile_is_copied_as_far_as_it_was_and_told(
    tmp_path: Path,
) -> None:
    folder, target = tmp_path / "there", tmp_path / "here"
    for each in (folder, target):
        each.mkdir()
    (folder / "log").write_bytes(b"line\n" * 20_000)
    box = FolderBox(folder)

    def grown() -> None:
        with (folder / "log").open("ab") as file:
            file.write(b"more\n")
        os.utime(folder / "log", ns=(1, 1))

    box.at_read = {1: grown}
    copy = copying.Copy(box, "1")
    await copy.take("", [entry_of(folder / "log", "log")], target)
    assert (target / "log").read_bytes() == b"line\n" * 20_000
    assert copy.done.changed == ["log"]


async def test_a_box_that_lies_about_names_writes_nothing_outside(tmp_path: Path) -> None:
    target = tmp_path / "here"
    target.mkdir()
    box = FolderBox(tmp_path)
    lies = [JobFile(name, "file", 1, 1, 1) for name in ("../x", "/tmp/x", "a/../../x")]
    lies += [JobFile("evil", "link", 1, 1, 1, leads_to="../../..")]
    copy = copying.Copy(box, "1")
    await copy.take("", lies, target)
    assert len(copy.done.left_out) == 4 and not box.reads
    assert list(target.iterdir()) == []


def test_files_and_cp_from_the_command_line(
    cockpit: Say, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code, out, _ = cockpit("exec", "--gpus", "0", "--json", "--", "bash", "-c", MAKE)
    job = json.loads(out)
    assert cockpit("wait", job["id"])[0] == 0
    code, out, _ = cockpit("files", f"{job['id']}:results")
    assert code == 0 and "deep/big.bin" in out and "link → a.txt" in out
    code, out, _ = cockpit("files", job["id"], "--json")
    assert {each["path"] for each in json.loads(out)["files"]} >= {"spec.json", "results/a.txt"}

    code, out, err = cockpit("cp", f"{job['id']}:results", str(tmp_path), "--json")
    assert code == 1 and "results/out was left out: it is a link that leads to /etc/passwd" in err
    told = json.loads(out)
    assert (told["files"], told["bytes"], told["already"]) == (3, 3_000_006, 0)
    there, here = Path(job["directory"]) / "results", tmp_path / "results"
    assert (here / "deep/big.bin").read_bytes() == (there / "deep/big.bin").read_bytes()
    assert (here / "link").readlink() == Path("a.txt")
    assert (here / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (here / "a.txt").stat().st_mtime_ns == (there / "a.txt").stat().st_mtime_ns
    _, out, err = cockpit("cp", f"{job['id']}:results", str(tmp_path), "--json")
    assert json.loads(out)["already"] == 3

    assert cockpit("cp", f"{job['id']}:results/a.txt", str(tmp_path / "b.txt"))[0] == 0
    assert (tmp_path / "b.txt").read_text() == "hello\n"
    assert cockpit("cp", f"{job['id']}:results/a.txt", "-")[1] == "hello\n"


def test_bad_use_of_cp_is_told_and_writes_nothing(cockpit: Say, tmp_path: Path) -> None:
    _, out, _ = cockpit("exec", "--gpus", "0", "--json", "--", "bash", "-c", MAKE)
    job = json.loads(out)["id"]
    assert cockpit("wait", job)[0] == 0
    code, _, err = cockpit("cp", "results", str(tmp_path))
    assert code == 2 and "'results' names no file of a job" in err
    code, _, err = cockpit("cp", f"{job}:results", f"{job}:results/a.txt", str(tmp_path / "no"))
    assert code == 2 and "is no folder here" in err
    code, _, err = cockpit("cp", f"{job}:results", str(tmp_path / "no/deeper"))
    assert code == 2 and "there is no folder" in err
    code, _, err = cockpit("cp", f"{job}:result", str(tmp_path))
    assert code == 1 and "has no 'result'" in err and "results" in err
    (tmp_path / "results").write_text("mine")
    code, _, err = cockpit("cp", f"{job}:results", str(tmp_path))
    assert code == 2 and "is a file here" in err
    assert (tmp_path / "results").read_text() == "mine"


def test_a_disk_that_is_full_here_keeps_what_has_come(
    cockpit: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = cockpit("exec", "--gpus", "0", "--json", "--", "bash", "-c", MAKE)
    job = json.loads(out)["id"]
    assert cockpit("wait", job)[0] == 0
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    code, _, err = cockpit("cp", f"{job}:results/deep/big.bin", str(tmp_path))
    assert code == 1 and "No space left on device" in err and "goes on from there" in err
    monkeypatch.setattr(Path, "replace", real)
    assert cockpit("cp", f"{job}:results/deep/big.bin", str(tmp_path))[0] == 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".part"] == ["big.bin"]


def test_a_socket_is_listed_as_what_cannot_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        assert files._entry("s", "s")["kind"] == "other"
