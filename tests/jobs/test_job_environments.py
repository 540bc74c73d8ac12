"""A workload's own Python: used as it is when it has all that is required, else built once, whole."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest
from job_bench import Bench, until

from cockpit.agent.jobs import build_environment
from cockpit.agent.jobs.environments import choose, key, satisfied

PYTEST = importlib.metadata.version("pytest")

UV = """#!/bin/bash
# Stands in for uv: `uv venv --python PYTHON DIR`, `uv pip install --python PYTHON -- REQUIREMENT…`
echo "$1" >> {calls}
case "$1" in
    venv) mkdir -p "$4/bin" && ln -s "$3" "$4/bin/python" ;;
    pip) echo "resolving $6"; sleep 0.2; [[ "$6" != broken* ]] || {{ echo "error: no $6" >&2; exit 1; }} ;;
esac
"""


@pytest.fixture
def uv_calls(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `uv` on PATH that makes environments at once; the file tells what it was called for."""
    binaries, calls = short_tmp / "bin", short_tmp / "calls"
    binaries.mkdir()
    calls.touch()
    (binaries / "uv").write_text(UV.format(calls=calls))
    (binaries / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}:/usr/bin:/bin")
    return calls


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("pytest", True),
        ("PyTest[testing]", True),
        (f"pytest=={PYTEST}", True),
        ("pytest>=1", True),
        ("pytest >=1, <1000", True),
        ("pytest!=1.0", True),
        (f"pytest=={PYTEST.split('.')[0]}.*", True),
        ("pytest<1", False),
        ("pytest>1000", False),
        ("pytest==1.*", False),
        ("pytest~=8.0", False),
        ("pytest; python_version > '3'", False),
        ("pytest @ file:///somewhere", False),
        ("no-such-distribution", False),
        ("", False),
    ],
)
def test_only_what_is_surely_installed_counts_as_satisfied(
    requirement: str, expected: bool
) -> None:
    assert satisfied(requirement) is expected


def test_the_current_interpreter_is_used_when_it_has_everything(tmp_path: Path) -> None:
    environment = choose(["pytest>=1"], tmp_path, tmp_path)
    assert (environment.python, environment.build) == (sys.executable, None)


def test_the_same_requirements_in_another_order_are_the_same_environment() -> None:
    assert key(["a>=1", "b == 2"]) == key(["b==2", "a>=1"])
    assert key(["a>=1"]) != key(["a>=2"])


async def test_an_environment_is_built_in_the_first_job_that_needs_it_and_then_reused(
    bench: Bench, uv_calls: Path
) -> None:
    options = {"requires": ("made-up>=1",), "plugin": "x"}
    code = "import sys; print(sys.argv[0], sys.executable)"
    first, second = [await bench.submit("python", "-c", code, **options) for _ in range(2)]
    for job in (first, second):
        assert (await bench.end(job)).state == "COMPLETED", bench.log(job)
    assert uv_calls.read_text().split() == ["venv", "pip"]
    logs = bench.log(first) + bench.log(second)
    assert "Building an environment for made-up>=1" in logs and "resolving made-up>=1" in logs
    third = await bench.end(await bench.submit("python", "-c", code, **options))
    assert bench.log(third).startswith("-c ") and "environments" in bench.log(third)
    assert uv_calls.read_text().split() == ["venv", "pip"]


async def test_a_build_that_fails_is_the_reason_and_leaves_nothing_that_is_used(
    bench: Bench, uv_calls: Path
) -> None:
    options = {"requires": ("broken==1",), "plugin": "x"}
    for _ in range(2):
        job = await bench.end(await bench.submit("touch", "ran", **options))
        assert (job.state, job.exit_code) == ("FAILED", 1)
        assert job.reason == "its environment could not be built: error: no broken==1"
    assert uv_calls.read_text().split() == ["venv", "pip"] * 2


async def test_stop_ends_a_build_and_the_next_job_starts_it_anew(
    bench: Bench, uv_calls: Path, short_tmp: Path
) -> None:
    hanging = UV.format(calls=uv_calls).replace("sleep 0.2", "sleep 600")
    (short_tmp / "bin/uv").write_text(hanging)
    options = {"requires": ("slow",), "plugin": "x"}
    job = await bench.submit("true", **options)
    await until(lambda: "resolving" in bench.log(job), "the build")
    reasons = [job.reason for job in bench.published]
    assert "building its environment (first use)" in reasons
    assert (await bench.stop(job)).state == "CANCELLED"
    (short_tmp / "bin/uv").write_text(UV.format(calls=uv_calls))
    assert (await bench.end(await bench.submit("true", **options))).state == "COMPLETED"


def test_a_real_installer_says_why_it_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    missing = f"nothing @ file://{tmp_path}/nothing-1.0-py3-none-any.whl"
    explanation = tmp_path / "explanation"
    target = tmp_path / "environment"
    assert build_environment.main([str(target), str(explanation), missing]) == 1
    assert "nothing-1.0-py3-none-any.whl" in explanation.read_text()
    assert not build_environment.is_whole(target)
    assert "Building an environment" in capfd.readouterr().out
