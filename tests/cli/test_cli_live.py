"""The headless commands against a real agent on the simulated box."""

import asyncio
import csv
import io
import json
import os
import re
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from cockpit.cli.connect import agent_settings, box_for, load_config, run_async
from cockpit.cli.options import GlobalOptions
from cockpit.model import Gpu

SIMULATED = GlobalOptions(simulate="pcie")


def document(result) -> dict:
    assert result.code == 0, result
    assert result.err == "" and result.out.count("\n") == 1
    found = json.loads(result.out)
    assert found["schema"] == 1
    return found


def wait_for(what, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_status_json_is_the_contract(cockpit) -> None:
    found = document(cockpit("status", "--simulate", "--json"))
    assert found["box"]["source"] == "simulated" and found["box"]["gpu_count"] == 10
    assert [gpu["index"] for gpu in found["gpus"]] == list(range(10))
    assert set(vars(Gpu(0, "", ""))) == set(found["gpus"][0])
    assert found["totals"]["power_w"] == pytest.approx(sum(gpu["power_w"] for gpu in found["gpus"]))


def test_status_is_a_page_of_one_line_a_gpu(cockpit) -> None:
    page = cockpit("status", "--simulate").out.splitlines()
    assert "SIMULATED" in page[0]
    assert [line.split()[0] for line in page[2:12]] == [str(index) for index in range(10)]


def test_where_there_is_no_terminal_the_status_is_printed_and_said(cockpit) -> None:
    found = cockpit("--simulate")
    assert found.code == 0
    assert "SIMULATED" in found.out
    assert "not a terminal" in found.err


def test_watching_prints_again_until_interrupted(start, cockpit) -> None:
    cockpit("status", "--simulate")
    watcher = start("status", "--simulate", "--json", "--watch", "0.2")
    lines = [json.loads(watcher.stdout.readline()) for _ in range(2)]
    watcher.send_signal(signal.SIGINT)
    _, errors = watcher.communicate(timeout=30)
    assert lines[1]["time_s"] > lines[0]["time_s"]
    assert (watcher.returncode, errors) == (130, "")


def test_a_lost_gpu_is_an_exit_code_a_line_and_an_event(cockpit, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.toml"
    faulty.write_text('[simulate]\nfaults = ["3:lost"]\n')
    words = ("--simulate", "sxm", "--config", str(faulty))
    found = wait_for(lambda: (r := cockpit(*words, "status")).code == 1 and r)
    assert re.search(r"^critical +.*GPU 3", found.out, re.MULTILINE)
    assert re.search(r"^  3  +— /.*lost$", found.out, re.MULTILINE)
    events = wait_for(lambda: json.loads(cockpit(*words, "events", "--json").out)["events"])
    assert any(event["gpu_index"] == 3 and event["severity"] == "critical" for event in events)
    assert "GPU 3" in cockpit(*words, "events").out


def test_history_has_every_form(cockpit) -> None:
    def one_json():
        result = cockpit("history", "0", "power_w", "--simulate", "--since", "1m", "--json")
        return result.code == 0 and json.loads(result.out)

    found = wait_for(one_json)
    assert found["gpu"]["index"] == 0 and found["metric"] == "power_w"
    lengths = {len(found[name]) for name in ("times_s", "minimum", "mean", "maximum")}
    assert len(lengths) == 1
    table = cockpit("history", "0", "power_w", "--simulate", "--since", "1m", "--csv").out
    rows = list(csv.DictReader(io.StringIO(table)))
    assert rows and float(rows[0]["time_s"]) > 1e9
    known = [float(row["mean"]) for row in rows if row["mean"]]
    assert known and all(20 < value < 400 for value in known)
    page = cockpit("history", "0", "power_w", "--simulate", "--since", "1m").out
    assert "SIMULATED" in page and "│" in page and "mean" in page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("history", "0", "pwoer_w"), "Did you mean power_w?"),
        (("history", "77", "power_w"), "there is no GPU '77'"),
        (("history", "0", "power_w", "--since", "tomorrow"), "--since"),
        (("history", "0", "power_w", "--since", "1h", "--until", "2h"), "Swap them"),
        (("status", "--watch", "often"), "--watch"),
        (("metrics", "--listen", "0.0.0.0:0"), "--allow-remote"),
        (("--replay", "/nowhere/box.rec", "status"), "/nowhere/box.rec"),
        (("status", "--colour"), "--colour"),
    ],
)
def test_bad_use_is_two_with_words_and_no_data(cockpit, words, says: str) -> None:
    simulate = () if "--replay" in words else ("--simulate",)
    found = cockpit(*simulate, *words)
    assert found.code == 2 and found.out == ""
    assert says in found.err and "Traceback" not in found.err


def test_events_without_any_say_so_on_stderr(cockpit) -> None:
    found = cockpit("events", "--simulate", "--since", "1s")
    assert found.code == 0 and found.out == "" and "nothing happened" in found.err


def test_following_events_prints_those_that_come(start, cockpit) -> None:
    cockpit("status", "--simulate", "nvl")
    follower = start("events", "--simulate", "nvl", "--follow", "--json")
    options = GlobalOptions(simulate="nvl")

    async def break_it() -> None:
        async with box_for(load_config(options), options) as box:
            await box.inject_fault(2, "xid")

    run_async(break_it())
    event = json.loads(follower.stdout.readline())
    assert (event["schema"], event["gpu_index"]) == (1, 2)


def test_the_agent_tells_of_itself_and_ends_when_told(cockpit) -> None:
    kind = ("--simulate", "nvl", "--demo")
    assert cockpit(*kind, "agent", "status").code == 1
    assert cockpit(*kind, "status").code == 0
    found = document(cockpit(*kind, "agent", "status", "--json"))
    (mine,) = [agent for agent in found["agents"] if agent["name"] == "simulated-nvl-demo"]
    assert mine["source"] == "simulated" and mine["gpu_count"] == 10
    os.kill(mine["pid"], 0)
    assert "has ended" in cockpit(*kind, "agent", "stop").err
    wait_for(lambda: not Path(f"/proc/{mine['pid']}/cmdline").exists() or _zombie(mine["pid"]))
    assert cockpit(*kind, "agent", "status").code == 1


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_looking_for_an_agent_starts_none(cockpit) -> None:
    assert cockpit("agent", "status", "--json", "--simulate", "sxm", "--demo").code == 1
    names = [a["name"] for a in json.loads(cockpit("agent", "status", "--json").out)["agents"]]
    assert "simulated-sxm-demo" not in names


def test_an_agent_in_the_foreground_stays_until_it_is_told(start, cockpit) -> None:
    foreground = start("agent", "--simulate", "pcie", "--demo")
    wait_for(lambda: cockpit("agent", "status", "--simulate", "--demo").code == 0)
    second = cockpit("agent", "--simulate", "--demo")
    assert second.code == 1 and "runs already" in second.err
    foreground.terminate()
    foreground.communicate(timeout=30)
    assert foreground.returncode == 0


def test_metrics_are_printed_once_and_served(start, cockpit) -> None:
    page = cockpit("metrics", "--simulate").out
    assert len(re.findall(r"^DCGM_FI_DEV_POWER_USAGE\{", page, re.MULTILINE)) == 10
    server = start("metrics", "--simulate", "--listen", "127.0.0.1:0")
    address = server.stderr.readline().split()[-1]
    with urllib.request.urlopen(address, timeout=30) as answer:
        served = answer.read().decode()
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=30)
    assert server.returncode == 0
    names = re.compile(r"^(\w+\{[^}]*\})", re.MULTILINE)
    assert names.findall(served) == names.findall(page)


def test_a_recording_can_be_played(cockpit, tmp_path: Path) -> None:
    file = tmp_path / "box.rec"
    made = cockpit("record", str(file), "--simulate", "--for", "1s", "--json")
    assert made.code == 0 and "--replay" in made.err
    assert json.loads(made.out)["snapshots"] >= 1
    again = cockpit("record", str(file), "--simulate", "--for", "1s")
    assert again.code == 2 and "exists already" in again.err
    played = document(cockpit("--replay", str(file), "status", "--json"))
    assert played["box"]["source"] == "replay" and len(played["gpus"]) == 10


def test_doctor_finds_this_machine_fit_for_the_simulated_box(cockpit) -> None:
    found = cockpit("doctor", "--simulate", "--json")
    checks = {check["name"]: check for check in json.loads(found.out)["checks"]}
    assert checks["Agent"]["level"] == "ok" and "SIMULATED" in checks["Agent"]["text"]
    assert checks["State directory"]["level"] == "ok"
    problems = [check for check in checks.values() if check["level"] == "problem"]
    assert found.code == (1 if problems else 0)
    assert all(check["advice"] for check in problems)


def test_config_shows_each_value_and_its_origin(cockpit, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[terminal]\ntheme = "ember"\n')
    found = document(cockpit("config", "show", "--json", "--config", str(file)))["settings"]
    assert found["terminal.theme"] == {"value": "ember", "from": f"{file}, line 2"}
    assert found["agent.interval_s"] == {"value": 1.0, "from": "shipped default"}
    assert re.search(
        r'^terminal.theme +"ember" +', cockpit("config", "--config", str(file)).out, re.M
    )
    file.write_text("[terminal]\ntheme = 1\n")
    told = cockpit("config", "validate", "--json", "--config", str(file))
    assert told.code == 1 and "terminal.theme" in json.loads(told.out)["problems"][0]
    assert cockpit("config", "show", "--config", str(file)).code == 2


def test_themes_list_the_broken_with_their_reason(cockpit, cli_home) -> None:
    shipped = document(cockpit("themes", "--json"))
    assert {"midnight", "light", "high-contrast"} <= {theme["name"] for theme in shipped["themes"]}
    folder = Path(cli_home["XDG_CONFIG_HOME"]) / "cockpit" / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text("[colors]\nbackground = 3\n")
    try:
        found = cockpit("themes")
    finally:
        (folder / "mine.toml").unlink()
    assert found.code == 1 and "midnight" in found.out
    assert str(folder / "mine.toml") in found.err


def test_every_kind_of_box_has_its_own_agent() -> None:
    def name(**options) -> str:
        chosen = GlobalOptions(**options)
        return agent_settings(load_config(chosen), chosen).name

    names = {name(), name(simulate="pcie"), name(simulate="sxm"), name(demo=True)}
    assert names == {"local", "simulated-pcie", "simulated-sxm", "simulated-pcie-demo"}
    assert name(replay=__file__).startswith("replay-")
    assert asyncio.iscoroutinefunction(box_for(load_config(SIMULATED), SIMULATED).connect)
