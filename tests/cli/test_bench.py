"""`cockpit bench`: a plugin's benchmark as a job, its table on stdout, and a copy that stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

MANIFEST = """
name = "meter"
title = "Meter"
summary = "Measures."
kind = "tool"
command = ["python", "workload.py"]
[gpus]
min = 0
default = 1
max = 2
[parameters.size]
type = "int"
default = 1
[parameters.rows]
type = "int"
default = 2
maximum = 9
"""
BENCH = "[bench]\ncommand = ['python', 'bench.py']\nparameters = { size = 7 }\n"

MEASURE = """
from cockpit.sdk import job
print("measuring", flush=True)
size, rows = job.parameters["size"], job.parameters["rows"]
job.roofline(bytes_per_s=1e10, device="CPU, one thread")
figures = [(f"run {n}\\x1b", size, 1234.56 * n or None) for n in range(rows)]
job.table("bench", ["case", "size", "GB/s"], figures)
"""


@pytest.fixture
def bench(cockpit, tmp_path: Path):
    """Run the benchmark of a plugin made of a script and more of a manifest."""

    def run(*words: str, more: str = BENCH, script: str = MEASURE):
        folder = tmp_path / "meter"
        folder.mkdir(exist_ok=True)
        (folder / "plugin.toml").write_text(MANIFEST + more)
        (folder / "bench.py").write_text(script)
        (folder / "workload.py").write_text("raise SystemExit('not the benchmark')")
        config = tmp_path / "cockpit.toml"
        config.write_text(f'[plugins]\npaths = ["{tmp_path}"]\n')
        return cockpit("--simulate", "--config", str(config), "bench", "meter", *words)

    return run


def test_the_table_is_the_output_and_everything_else_is_words(bench) -> None:
    done = bench("--gpus", "0", "--rows", "3")
    assert done.code == 0, done.err
    head, *lines = done.out.splitlines()
    assert head.startswith("Meter on ")
    assert head.endswith(" · no GPU · measured on CPU, one thread")
    assert lines == [
        "case    size    GB/s",
        "run 0·     7       —",
        "run 1·     7  1234.6",
        "run 2·     7  2469.1",
    ]
    assert "measuring\n" in done.err and "COMPLETED" in done.err


def test_a_simulated_gpu_is_never_taken_for_a_measured_one(bench) -> None:
    done = bench()
    assert "SIMULATED: what was measured is this machine" in done.out.splitlines()[0]
    document = json.loads(bench("--json").out)
    assert (document["box"]["simulated"], len(document["gpus"])) == (True, 1)


def test_the_result_is_kept_as_it_is_printed(bench, cli_home: dict[str, str]) -> None:
    done = bench("--json", "--gpus", "0", "--size", "8")
    document = json.loads(done.out)
    assert document["rows"][1] == ["run 1\x1b", 8, 1234.56]
    assert document["parameters"] == {"size": 8, "rows": 2}
    assert (document["device"], document["state"]) == ("CPU, one thread", "COMPLETED")
    kept = Path(document["saved"])
    assert kept.is_relative_to(Path(cli_home["XDG_STATE_HOME"]) / "cockpit/benchmarks/meter")
    assert json.loads(kept.read_text()) == document
    assert str(kept) in done.err


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("raise SystemExit(3)", 3, "FAILED: exit code 3"),
        ("pass", 1, "it reported no table called bench"),
    ],
)
def test_what_measured_nothing_is_a_failure_and_is_not_kept(
    bench, script: str, code: int, told: str
) -> None:
    done = bench("--json", "--gpus", "0", script=script)
    assert done.code == code
    assert told in done.err
    document = json.loads(done.out)
    assert (document["rows"], document["saved"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "more", "told"),
    [
        ((), "", "meter has no benchmark"),
        (("--rows", "10"), BENCH, "rows: got 10"),
        (("--gpus", "3"), BENCH, "meter runs on 0 to 2 GPUs, not on 3"),
    ],
)
def test_bad_use_is_told_before_anything_runs(bench, words, more: str, told: str) -> None:
    done = bench(*words, more=more)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
