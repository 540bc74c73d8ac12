"""`cockpit environments` and `cockpit usage`, through a real agent on the simulated box."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from pathlib import Path

import pytest
from job_bench import Say
from package_index import PackageIndex


def plugin(short_tmp: Path, name: str, requires: str, more: str = "") -> None:
    folder = short_tmp / "CONFIG_HOME" / "cockpit" / "plugins" / name
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text(
        f'name = "{name}"\ntitle = "T"\nsummary = "S"\nkind = "tool"\n'
        f'command = ["python", "-c", "import alpha; print(alpha.version)"]\n'
        f"requires = [{requires}]\n{more}\n[gpus]\nmin = 0\ndefault = 0\n"
    )


def test_built_beforehand_a_plugin_runs_without_an_index(
    cockpit: Say, index: PackageIndex, short_tmp: Path
) -> None:
    index.wheel("alpha", "1.0")
    plugin(short_tmp, "one", '"alpha"', 'environment = "fam"')
    plugin(short_tmp, "two", "", 'environment = "fam"')
    code, _, err = cockpit("environments")
    assert code == 0 and "none was built yet" in err
    code, out, err = cockpit("environments", "path", "one")
    assert (code, out) == (1, "") and "cockpit environments build one" in err
    code, out, err = cockpit("environments", "build", "one", "two")
    assert code == 0
    assert "Building an environment for the family fam (one, two): alpha" in out
    assert "two: the agent's own Python has all that it requires" in err
    index.remove("alpha", "1.0")
    assert cockpit("run", "one")[:2] == (0, "1.0\n")
    _, python, _ = cockpit("environments", "path", "one")
    assert Path(python.strip()).exists()
    code, page, _ = cockpit("environments")
    head, row, foot = page.splitlines()
    assert head.split()[:2] == ["ID", "FOR"] and "family fam" in row and "one, two" in row
    assert foot.startswith("1 environment, ")
    (listed,) = json.loads(cockpit("environments", "--json")[1])["environments"]
    assert listed["requires"] == ["alpha"] and listed["packages"] == 1
    jobs = json.loads(cockpit("jobs", "--json")[1])["jobs"]
    assert [job["name"] for job in jobs] == ["one"], "the job that built it is gone"


def test_a_build_that_fails_ends_with_its_reason_and_its_job_stays(
    cockpit: Say, short_tmp: Path
) -> None:
    plugin(short_tmp, "one", '"nowhere"')
    code, out, err = cockpit("environments", "build", "one")
    assert code == 1
    assert "one: its environment could not be built" in err
    assert "nowhere was not found in the package registry" in out
    assert "environment-one" in cockpit("jobs")[1]


def test_environments_can_be_removed_by_id_and_by_age(
    cockpit: Say, index: PackageIndex, short_tmp: Path
) -> None:
    index.wheel("alpha", "1.0")
    plugin(short_tmp, "one", '"alpha"')
    assert cockpit("environments", "build", "one")[0] == 0
    code, out, _ = cockpit("environments", "rm", "--unused", "1h", "--json")
    assert (code, json.loads(out)) == (0, {"schema": 1, "removed": []})
    (listed,) = json.loads(cockpit("environments", "--json")[1])["environments"]
    code, _, err = cockpit("environments", "rm", "zzz")
    assert code == 1 and "there is no one environment" in err
    uses = Path(listed["path"]) / "uses" / "one"
    long_ago = time.time() - 7200
    os.utime(uses, (long_ago, long_ago))
    code, _, err = cockpit("environments", "rm", "--unused", "1h")
    assert code == 0 and err.startswith("cockpit: 1 environment removed")
    assert not Path(listed["path"]).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "x"), "list takes no names"),
        (("build",), "build of which plugin?"),
        (("build", "nobody"), "there is no plugin 'nobody'"),
        (("rm",), "remove which?"),
        (("rm", "x", "--unused", "1d"), "remove which?"),
        (("path", "x", "--unused", "1d"), "--unused belongs to rm"),
        (("rm", "--unused", "soon"), "--unused: 'soon' is no length of time"),
    ],
)
def test_bad_use_of_environments_is_named(cockpit: Say, words: tuple[str, ...], said: str) -> None:
    code, _, err = cockpit("environments", *words)
    assert code == 2 and said in err


def test_the_ledger_of_this_month_has_every_job(cockpit: Say, short_tmp: Path) -> None:
    config = short_tmp / "CONFIG_HOME" / "cockpit" / "cockpit.toml"
    config.parent.mkdir()
    config.write_text("[energy]\nprice_per_kwh = 0.3\nco2_g_per_kwh = 400\n")
    code, out, _ = cockpit("usage")
    assert code == 1 and "No job had a GPU in that time." in out
    for gpus in ("1", "2"):
        assert cockpit("exec", "--gpus", gpus, "--name", "nap", "--", "sleep", "1")[0] == 0
    jobs = {job["id"]: job for job in json.loads(cockpit("jobs", "--json")[1])["jobs"]}
    code, out, _ = cockpit("usage", "--by", "job", "--json")
    found = json.loads(out)
    assert code == 0 and found["schema"] == 1 and found["box"]["source"] == "simulated"
    rows = {row["key"]: row for row in found["rows"]}
    for each, gpus in (("1", 1), ("2", 2)):
        ran_s = jobs[each]["ended_s"] - jobs[each]["started_s"]
        assert rows[each]["gpu_seconds"] == pytest.approx(gpus * ran_s) and ran_s >= 1
    total = found["total"]
    assert total["jobs"] == 2 and total["energy_j"] > 0
    assert total["cost"] == pytest.approx(total["energy_j"] / 3.6e6 * 0.3)
    assert total["co2_g"] == pytest.approx(total["energy_j"] / 3.6e6 * 400)
    whole = found["whole_box"]
    assert whole["gpu_count"] == 10
    assert whole["idle_seconds"] == pytest.approx(whole["gpu_seconds"] - total["gpu_seconds"])
    assert cockpit("rm", "1")[0] == 0
    code, out, _ = cockpit("usage", "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["key"], row["jobs"]) == ("(nap)", "2"), "a job that was removed counts on"
    _, out, _ = cockpit("usage", "--since", "2d", "--by", "day")
    assert "SIMULATED" in out and time.strftime("%Y-%m-%d") in out and "in no job" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--month", "2026-13"), "--month: '2026-13' is no month"),
        (("--month", "2026-01", "--since", "1d"), "--month is a span already"),
        (("--since", "2199-01-01"), "that time is still to come"),
        (("--since", "yesterday"), "--since: 'yesterday' is no moment"),
    ],
)
def test_a_span_that_cannot_be_is_named(cockpit: Say, words: tuple[str, ...], said: str) -> None:
    code, _, err = cockpit("usage", *words)
    assert code == 2 and said in err


def test_a_job_shows_what_it_used_or_why_that_is_not_known(cockpit: Say) -> None:
    assert cockpit("exec", "--gpus", "0", "--", "true")[0] == 0
    page = cockpit("job", "1")[1]
    assert "Energy     — (it has no GPU)" in page
    row = cockpit("jobs", "--long")[1].splitlines()
    assert "ENERGY WH" in row[0] and "PEAK W" in row[0]
