"""A workload's own Python: used as it is when it has all that is required, else built once, whole.

The builds are real ones, by uv, from a package index that the test makes itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from job_bench import Bench, until
from package_index import PackageIndex

from cockpit.agent.environments import build, catalogue, installer
from cockpit.agent.environments.explain import BuildError, Failure
from cockpit.agent.environments.need import Need, key
from cockpit.agent.environments.order import BuildOrder
from cockpit.agent.environments.requirements import missing, satisfied
from cockpit.model import FamilyMember, Job
from cockpit.protocol import RpcError
from cockpit.settings import AgentSettings, EnvironmentSettings

PYTEST = importlib.metadata.version("pytest")
WHERE = "import sys; print(sys.prefix)"


async def run(bench: Bench, *requires: str, code: str = WHERE, **options: Any) -> Job:
    options = {"plugin": "x", **options}
    return await bench.end(await bench.submit("python", "-c", code, requires=requires, **options))


def built(short_tmp: Path) -> tuple[catalogue.Built, ...]:
    return catalogue.everything(short_tmp / "CACHE_HOME" / "cockpit" / "environments")


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


def test_what_is_missing_is_told_by_name() -> None:
    have = {"torch": "2.13.0", "my-thing": "1.0"}
    wants = ("torch>=2", "My_Thing==1.0", "timm", "torch<2")
    assert missing(wants, have.get) == ("timm", "torch<2")


def test_the_same_requirements_in_another_order_are_the_same_environment() -> None:
    assert key(Need("x", ("a>=1", "b == 2"))) == key(Need("y", ("b==2", "a>=1")))
    assert key(Need("x", ("a>=1",))) != key(Need("x", ("a>=2",)))
    assert key(Need("x", ("a",), torch_backend="cpu")) != key(Need("x", ("a",)))


async def test_the_current_interpreter_is_used_when_it_has_everything(bench: Bench) -> None:
    job = await run(bench, "pytest>=1", code="import sys; print(sys.executable)")
    assert bench.log(job) == f"{sys.executable}\n"
    assert f"pytest=={PYTEST}\n" in bench.path(job, "requirements.lock").read_text()


async def test_an_environment_is_built_in_the_first_job_that_needs_it_and_then_reused(
    bench: Bench, index: PackageIndex, short_tmp: Path
) -> None:
    index.wheel("alpha", "1.0", ["beta>=1"])
    index.wheel("beta", "2.0")
    code = (
        "import alpha, beta, os; print(os.path.realpath(os.environ['VIRTUAL_ENV']), beta.version)"
    )
    options = {"requires": ("alpha",), "plugin": "x"}
    both = [await bench.submit("python", "-c", code, **options) for _ in range(2)]
    for job in [await bench.end(job) for job in both]:
        assert job.state == "COMPLETED", bench.log(job)
    (environment,) = built(short_tmp)
    assert all(bench.log(job).endswith(f"{environment.path} 2.0\n") for job in both)
    logs = bench.log(both[0]) + bench.log(both[1])
    assert logs.count("Building an environment for alpha") == 1
    assert logs.count("Installed 2 packages") == 1
    third = await run(bench, "alpha", code=code, plugin="y")
    assert bench.log(third) == f"{environment.path} 2.0\n"
    assert (environment.packages, environment.requires) == (2, ("alpha",))
    assert built(short_tmp)[0].plugins == ("x", "y")


async def test_what_exactly_ran_is_known_later_and_can_be_had_again(
    bench: Bench, index: PackageIndex, short_tmp: Path
) -> None:
    index.wheel("alpha", "1.0")
    code = "import alpha; print(alpha.version)"
    first = await run(bench, "alpha", code=code)
    lock = bench.path(first, "requirements.lock").read_text()
    assert lock.startswith("alpha==1.0 \\\n    --hash=sha256:")
    index.wheel("alpha", "2.0")
    plugin = short_tmp / "plugin"
    plugin.mkdir()
    (plugin / "requirements.lock").write_text(lock)
    again = await run(bench, "alpha", code=code, plugin_directory=str(plugin))
    assert bench.log(again).endswith("\n1.0\n")
    assert bench.path(again, "requirements.lock").read_text() == lock


async def test_what_a_lock_was_not_made_for_is_not_installed(
    bench: Bench, index: PackageIndex, short_tmp: Path
) -> None:
    index.wheel("alpha", "1.0")
    plugin = short_tmp / "plugin"
    plugin.mkdir()
    (plugin / "requirements.lock").write_text(f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    job = await run(bench, "alpha", plugin_directory=str(plugin))
    assert job.state == "FAILED"
    assert "what the index has as alpha==1.0 is not what the lock was made for" in job.reason


async def test_how_far_the_building_is_stands_in_the_reason(
    bench: Bench, index: PackageIndex
) -> None:
    for number in range(12):
        index.wheel(f"p{number}", "1.0")
    await run(bench, *(f"p{number}" for number in range(12)))
    told = [job.reason for job in bench.published]
    assert any(reason.startswith("building its environment (first use)") for reason in told)


async def test_a_build_that_fails_is_the_reason_and_leaves_nothing_that_is_used(
    bench: Bench, index: PackageIndex, short_tmp: Path
) -> None:
    for _ in range(2):
        job = await run(bench, "missing==1")
        assert (job.state, job.exit_code) == ("FAILED", 1)
        assert job.reason.startswith("its environment could not be built: ")
        assert "missing was not found in the package registry" in job.reason
        assert "Mend requires in plugin.toml" in job.reason
    root = short_tmp / "CACHE_HOME" / "cockpit" / "environments"
    assert not [path for path in root.iterdir() if path.is_dir()] and built(short_tmp) == ()


async def test_stop_ends_a_build_and_the_next_job_starts_it_anew(
    bench: Bench, index: PackageIndex
) -> None:
    index.source("slow", "1.0", "import time\ntime.sleep(600)")
    job = await bench.submit("true", requires=("slow",), plugin="x")
    await until(lambda: "Building slow==1.0 from its source" in bench.log(job), "the build")
    assert (await bench.stop(job)).state == "CANCELLED"
    index.remove("slow", "1.0")
    index.wheel("slow", "1.1")
    assert (await run(bench, "slow")).state == "COMPLETED"


async def test_a_build_that_was_killed_is_thrown_away_and_made_again(
    bench: Bench, index: PackageIndex, short_tmp: Path
) -> None:
    index.source("slow", "1.0", "import time\ntime.sleep(600)")
    job = await bench.submit("true", requires=("slow",), plugin="x")
    await until(lambda: "Building slow==1.0 from its source" in bench.log(job), "the build")
    os.kill(bench.status(job)["pid"], signal.SIGKILL)
    assert (await bench.end(job)).state == "FAILED"
    root = short_tmp / "CACHE_HOME" / "cockpit" / "environments"
    assert len(list(root.glob("*/pyvenv.cfg"))) == 1, "what was half built lies there"
    assert built(short_tmp) == ()
    index.wheel("other", "1.0")
    assert (await run(bench, "other")).state == "COMPLETED"
    assert [each.requires for each in built(short_tmp)] == [("other",)]
    assert len(list(root.glob("*/pyvenv.cfg"))) == 1, "any other build sweeps it away"


def members(**requires: tuple[str, ...]) -> dict[str, Any]:
    family = tuple(FamilyMember(name, each) for name, each in requires.items())
    return {"environment_name": "fam", "family": family}


async def test_a_family_shares_one_environment_of_all_that_they_require(
    bench: Bench, index: PackageIndex, short_tmp: Path
) -> None:
    index.wheel("alpha", "1.0")
    index.wheel("beta", "1.0")
    family = members(one=("alpha",), two=("beta",))
    first = await run(bench, "alpha", plugin="one", **family)
    second = await run(bench, "beta", plugin="two", code="import alpha, beta", **family)
    assert (first.state, second.state) == ("COMPLETED", "COMPLETED"), bench.log(second)
    assert "Building an environment for the family fam (one, two): alpha, beta" in bench.log(first)
    assert "Building" not in bench.log(second)
    (environment,) = built(short_tmp)
    assert (environment.family, environment.plugins) == ("fam", ("one", "two"))


async def test_who_cannot_share_has_one_of_its_own_and_is_told_why(
    bench: Bench, index: PackageIndex, short_tmp: Path
) -> None:
    for version in ("1.0", "2.0"):
        index.wheel("base", version)
    index.wheel("extra", "1.0")
    family = members(new=("base>=2",), old=("base<2", "extra"), other=("extra", "base"))
    code = "import base; print(base.version)"
    new = await run(bench, "base>=2", plugin="new", code=code, **family)
    assert bench.log(new).endswith("\n2.0\n"), bench.log(new)
    why = "old requires base<2, and new requires base>=2"
    assert why in bench.log(new)
    old = await run(bench, "base<2", "extra", plugin="old", code=code, **family)
    assert "It has an environment of its own, not that of fam" in bench.log(old)
    assert why in bench.log(old) and bench.log(old).endswith("\n1.0\n")
    other = await run(bench, "extra", "base", plugin="other", code=code, **family)
    assert bench.log(other) == "2.0\n"
    assert {each.plugins: each.notes for each in built(short_tmp)} == {
        ("new", "other"): (f"not for {why}",),
        ("old",): (),
    }


async def test_a_wrong_requirement_of_one_plugin_does_not_keep_its_family_from_working(
    bench: Bench, index: PackageIndex
) -> None:
    index.wheel("alpha", "1.0")
    family = members(bad=("nowhere",), good=("alpha",))
    assert (await run(bench, "alpha", plugin="good", **family)).state == "COMPLETED"
    bad = await run(bench, "nowhere", plugin="bad", **family)
    assert bad.state == "FAILED" and "nowhere was not found" in bad.reason


async def test_an_environment_in_use_stays_and_one_that_is_not_can_go(
    bench: Bench, index: PackageIndex, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "GIVEN_JUST_NOW_S", 0.0)
    index.wheel("alpha", "1.0")
    code = "import time; print('here'); time.sleep(600)"
    job = await bench.submit("python", "-c", code, requires=("alpha",), plugin="x")
    await until(lambda: bench.log(job).endswith("here\n"), "the job")
    (environment,) = (await bench.call("environment.list"))["environments"]
    assert environment.in_use
    with pytest.raises(RpcError, match="a job runs in it"):
        await bench.call("environment.remove", id=environment.id)
    await bench.stop(job, grace_s=0.0)
    await bench.call("environment.remove", id=environment.id[:6])
    assert not Path(environment.path).exists() and built(short_tmp) == ()
    assert (await run(bench, "alpha")).state == "COMPLETED"


async def test_the_first_failure_is_explained(
    bench: Bench, index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("future", "1.0", python=">=3.99")
    index.source("source", "1.0", "import sys; sys.exit('error: gcc: not found')")
    reasons = {}
    for wish in ("future", "source", "alpha[", "future<1"):
        job = await run(bench, wish)
        assert job.state == "FAILED" and job.reason in bench.log(job)
        reasons[wish] = job.reason
    assert "future==1.0 needs Python >=3.99, and this is Python 3." in reasons["future"]
    assert "source==1.0 comes as source" in reasons["source"]
    assert "error: gcc: not found" in reasons["source"] and "apt install" in reasons["source"]
    assert "Missing closing bracket" in reasons["alpha["]
    assert "only future==1.0 is available and you require future<1" in reasons["future<1"]
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    away = (await run(bench, "away")).reason
    assert "127.0.0.1 cannot be reached (Connection refused" in away


async def test_offline_takes_what_is_there_and_says_what_is_not(
    short_tmp: Path, index: PackageIndex
) -> None:
    index.wheel("alpha", "1.0")
    bench = Bench(short_tmp / "jobs")
    await bench.start()
    assert (await run(bench, "alpha")).state == "COMPLETED"
    offline = AgentSettings(environments=EnvironmentSettings(offline=True))
    await bench.restart(settings=offline)
    again = await run(bench, "alpha", code="import alpha; print(alpha.version)")
    assert bench.log(again) == "1.0\n"
    other = await run(bench, "alpha", "missing")
    assert other.state == "FAILED" and "missing" in other.reason
    await bench.service.close()


async def test_a_prebuilt_environment_is_used_if_it_has_what_the_family_requires(
    short_tmp: Path, index: PackageIndex
) -> None:
    index.wheel("alpha", "1.5")
    bench = Bench(short_tmp / "jobs")
    await bench.start()
    await run(bench, "alpha")
    (kept,) = built(short_tmp)
    python = f"{kept.path}/bin/python"
    prebuilt = {"fam": python, "gone": "/opt/nowhere/bin/python"}
    settings = AgentSettings(environments=EnvironmentSettings(prebuilt=prebuilt))
    await bench.restart(settings=settings)
    fits = await run(bench, "alpha>=1", environment_name="fam")
    assert bench.log(fits) == f"{kept.path}\n"
    assert "alpha==1.5" in bench.path(fits, "requirements.lock").read_text()
    lacks = await run(bench, "alpha>=2", "beta", environment_name="fam")
    assert lacks.reason == (
        f"the pre-built environment of fam, {python}, lacks alpha>=2 (it has 1.5), beta (it has none)."
        " Install that there, or take it out: [environments] prebuilt of cockpit.toml names it."
    )
    gone = await run(bench, "alpha", environment_name="gone")
    assert "/opt/nowhere/bin/python, cannot be used: No such file or directory" in gone.reason
    assert (await run(bench, "alpha", environment_name="other")).state == "COMPLETED"
    await bench.service.close()


def test_without_uv_pip_builds_it(
    short_tmp: Path, index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installer, "find_uv", lambda: None)
    index.wheel("alpha", "1.0")
    job, root = short_tmp / "job", short_tmp / "environments"
    job.mkdir()
    need = Need("x", ("alpha",))
    assert build.main(BuildOrder(str(root), str(job), need).dumps()) == 0
    assert "alpha==1.0\n" in (job / "requirements.lock").read_text()
    python = job / "environment" / "bin" / "python"
    assert subprocess.run([python, "-c", "import alpha"], check=False).returncode == 0
    (found,) = catalogue.everything(root)
    assert (found.packages, found.plugins) == (1, ("x",))


def test_two_builds_at_once_make_one(short_tmp: Path, index: PackageIndex) -> None:
    index.wheel("alpha", "1.0")
    root = short_tmp / "environments"
    orders = []
    for number in range(3):
        (short_tmp / str(number)).mkdir()
        orders.append(BuildOrder(str(root), str(short_tmp / str(number)), Need("x", ("alpha",))))
    code = (
        "import sys; from cockpit.agent.environments.build import main; sys.exit(main(sys.argv[1]))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, order.dumps()], stdout=subprocess.PIPE, text=True
        )
        for order in orders
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert "".join(said).count("Installed 1 package") == 1
    assert len(catalogue.everything(root)) == 1
    links = {str(Path(order.job, "environment").readlink()) for order in orders}
    assert links == {catalogue.everything(root)[0].path}


def test_pytorchs_own_index_is_left_out_where_it_cannot_be_reached(
    short_tmp: Path, index: PackageIndex, capfd: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    class FarAway(installer.Installer):
        def resolve(self, directory: Path, requires: Sequence[str], quiet: bool = False) -> str:
            tried.append(self.torch_backend)
            if self.torch_backend == "auto":
                raise BuildError(Failure("network", "away", "download.pytorch.org"))
            return super().resolve(directory, requires, quiet)

    index.wheel("torch", "2.0")
    job = short_tmp / "job"
    job.mkdir()
    builder = build.Builder(BuildOrder(str(short_tmp / "e"), str(job), Need("x", ("torch",))))
    builder._installer.__class__ = FarAway
    builder.run()
    assert tried == ["auto", "index"]
    assert "download.pytorch.org cannot be reached" in capfd.readouterr().out
    (note,) = catalogue.everything(short_tmp / "e")[0].notes
    assert "PyTorch's own index could not be reached" in note
