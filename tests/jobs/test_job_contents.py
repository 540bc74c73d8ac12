"""Images, tables and texts of a job: the newest, once, and only what lies in its own directory."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from job_bench import DEADLINE_S, Bench

from cockpit import codec
from cockpit.agent.jobs import events
from cockpit.agent.jobs.events import EventTail
from cockpit.client import Box
from cockpit.model import Job, JobOutput
from cockpit.protocol import RpcError

PNG = b"\x89PNG\r\n\x1a\n and so on"


class Direct(Box):
    """A Box whose calls lead straight into the job service, as JSON."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def call(self, method: str, params: Any = None, timeout_s: float | None = None) -> Any:
        return json.loads(codec.dumps(await self._bench.call(method, **params)))


@pytest.fixture
async def job(bench: Bench) -> Job:
    """One that runs until there is a file `go`."""
    job = await bench.submit("bash", "-c", "echo $$; while [ ! -e go ]; do sleep 0.02; done")
    await bench.pid_in_log(job)
    return job


async def tell(bench: Bench, job: Job, *told: dict[str, Any]) -> None:
    """Report these as the job would, and wait until they have been read."""
    done = float(bench.path(job, "events.jsonl").stat().st_size + 1)
    last = {"type": "progress", "done": done, "total": done}
    with bench.path(job, "events.jsonl").open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in (*told, last))
    await read(bench, job, done)


async def read(bench: Bench, job: Job, done: float) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while (progress := (await bench.show(job)).progress) is None or progress.done != done:
        assert time.monotonic() < deadline, "the events were never read"
        await asyncio.sleep(0.01)


async def test_the_newest_of_each_name_is_shown_while_it_runs_and_after_its_end(
    bench: Bench, job: Job
) -> None:
    box = Direct(bench)
    bench.path(job, "wake.png").write_bytes(PNG)
    await tell(
        bench,
        job,
        {"type": "table", "name": "best", "columns": ["n", "°C"], "rows": [["a", 1]]},
        {
            "type": "table",
            "name": "best",
            "columns": ["n", "°C"],
            "rows": [["b", None], ["c", 2.5]],
        },
        {"type": "text", "name": "story", "text": "Once", "left_out": 7},
        {"type": "image", "name": "wake", "path": "wake.png"},
        {"type": "checkpoint", "path": "state.bin"},
        {"type": "output", "name": "model", "path": "outputs/model", "kind": "hf-model"},
    )
    for _ in range(2):
        table = await box.job_table(job.id, "best")
        assert table is not None
        assert (table.columns, table.rows) == (("n", "°C"), (("b", None), ("c", 2.5)))
        text, image = await box.job_text(job.id, "story"), await box.job_image(job.id, "wake")
        assert text is not None and (text.text, text.left_out) == ("Once", 7)
        assert image is not None and (image.format, image.data) == ("png", PNG)
        bench.path(job, "go").touch()
        ended = await bench.end(job)
    assert dict(ended.images) == {"wake": "wake.png"}
    over_the_wire = codec.loads(Job, json.loads(codec.dumps(ended)))
    assert over_the_wire.outputs == {"model": JobOutput("outputs/model", "hf-model")}
    assert (ended.tables, ended.texts, ended.checkpoint) == (("best",), ("story",), "state.bin")


async def test_what_was_seen_is_not_sent_again_until_there_is_a_newer_one(
    bench: Bench, job: Job
) -> None:
    box = Direct(bench)
    first = {"type": "text", "name": "story", "text": "Once"}
    await tell(bench, job, first)
    text = await box.job_text(job.id, "story")
    assert text is not None
    assert await box.job_text(job.id, "story", text.version) is None
    progress = (await bench.show(job)).progress
    await bench.restart()
    await read(bench, job, progress.done)
    assert await box.job_text(job.id, "story", text.version) is None
    await tell(bench, job, {**first, "text": "upon"})
    newer = await box.job_text(job.id, "story", text.version)
    assert newer is not None and newer.text == "upon" and newer.version > text.version


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../secret.png", "outside of the job's own directory"),
        ("/etc/passwd", "outside of the job's own directory"),
        ("link.png", "outside of the job's own directory"),
        ("nowhere.png", "nowhere.png is not there"),
        ("pipe.png", "pipe.png is not there, or is no file"),
        ("spec.json", "spec.json is neither PNG nor JPEG"),
        ("poster.png", "poster.png is larger than 2.75 MB"),
    ],
)
async def test_an_image_that_cannot_be_sent_is_refused_with_the_reason(
    bench: Bench, job: Job, path: str, words: str
) -> None:
    bench.path(job, "link.png").symlink_to("/etc/passwd")
    bench.path(job, "poster.png").write_bytes(PNG + bytes(3_000_000))
    os.mkfifo(bench.path(job, "pipe.png"))
    await tell(bench, job, {"type": "image", "name": "wake", "path": path})
    with pytest.raises(RpcError, match=words):
        await bench.call("job.image", id=job.id, name="wake")


async def test_a_name_that_was_never_told_is_said_to_be_none(bench: Bench, job: Job) -> None:
    for kind in ("image", "table", "text"):
        with pytest.raises(RpcError, match=f"no {kind} called 'x'") as error:
            await bench.call(f"job.{kind}", id=job.id, name="x")
        assert error.value.advice == "none so far"


def test_what_is_no_table_image_or_text_is_a_bad_line(tmp_path: Path) -> None:
    bad = [
        {"type": "table", "name": "t", "columns": [], "rows": []},
        {"type": "table", "name": "t", "columns": [1], "rows": []},
        {"type": "table", "name": "t", "columns": ["a"], "rows": [[1, 2]]},
        {"type": "table", "name": "t", "columns": ["a"], "rows": [[[1]]]},
        {"type": "table", "name": "", "columns": ["a"], "rows": []},
        {"type": "text", "name": "t", "text": 1},
        {"type": "image", "path": "x.png"},
        {"type": "text", "name": "t", "text": "half a letter \ud83d"},
        {"type": "metrics", "values": {"half \ud83d": 1}},
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in bad))
    tail = EventTail(path)
    tail.read_all()
    assert tail.bad_lines == len(bad)
    assert not (tail.tables or tail.texts or tail.images or tail.metrics)
    found, _ = events.read_events(path, 0, 99)
    assert len(found) == len(bad) - 2


def test_content_is_found_again_whatever_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "READ_BYTES", 7)
    monkeypatch.setattr(events, "LINE_BYTES", 200)
    path = tmp_path / "events.jsonl"
    lines = [json.dumps({"type": "text", "name": f"t{n}", "text": n * "ä"}) for n in range(20)]
    path.write_text("\n".join(["x" * 999, lines[0], "", "nonsense", *lines[1:]]) + "\n")
    tail = EventTail(path)
    tail.read_all()
    found = {name: events.read_event(path, offset)["text"] for name, offset in tail.texts.items()}
    assert found == {f"t{n}": n * "ä" for n in range(20)}
