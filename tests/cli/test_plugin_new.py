"""`cockpit plugins path` and `new`: where plugins lie, and one that runs made from nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cockpit import plugins
from cockpit.cli.plugin_pages import list_page
from cockpit.new_plugin import LANGUAGES


@pytest.fixture
def own(cli_home: dict[str, str]):
    """The user's own plugin folder, empty before and gone after."""
    folder = Path(cli_home["XDG_CONFIG_HOME"]) / "cockpit" / "plugins"
    # The home is shared by the tests of the commands, and another one may have put plugins there.
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_folders_are_told_in_the_order_of_who_wins(cockpit, own: Path, tmp_path: Path) -> None:
    config = tmp_path / "cockpit.toml"
    config.write_text(f'[plugins]\npaths = ["{tmp_path}"]\n')
    told = json.loads(cockpit("plugins", "path", "--json", "--config", str(config)).out)
    assert [(row["origin"], row["exists"]) for row in told["folders"]] == [
        ("configured", True),
        ("yours", False),
        ("shipped", True),
    ]
    assert (told["schema"], told["folders"][1]["path"]) == (1, str(own))
    assert str(own) in cockpit("plugins", "path").out


def test_the_list_can_be_searched(cockpit, own: Path) -> None:
    cockpit("plugins", "new", "my-hashes", "--language", "bash")
    listed = cockpit("plugins")
    assert re.search(r"^my-hashes +tool +0 to 1 +yours +Hashes zeros", listed.out, re.MULTILINE)
    assert re.search(r"^cfd +simulation +.* shipped ", listed.out, re.MULTILINE)
    for words in (("list", "HASHES"), ("list", "--kind", "tool"), ("list", "zeros")):
        found = json.loads(cockpit("plugins", *words, "--json").out)["plugins"]
        assert "my-hashes" in [each["name"] for each in found]
        assert "cfd" not in [each["name"] for each in found]
    nothing = cockpit("plugins", "list", "hashes", "--kind", "llm")
    assert (nothing.code, nothing.out) == (1, "")
    assert "no plugin fits hashes and llm" in nothing.err


def test_a_page_says_what_can_be_chosen(cockpit, own: Path) -> None:
    cockpit("plugins", "new", "fresh")
    page = cockpit("plugins", "show", "fresh").out
    assert page.startswith("fresh: Fresh\n")
    assert "Shows      field temperature, chart of mean_temperature\n" in page
    assert str(own / "fresh") in page
    assert "--conduction Share of a difference" in page


def test_on_a_terminal_no_line_of_the_list_is_longer_than_it_is_wide() -> None:
    lines = list_page(plugins.find_all().plugins, 60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert any(line.endswith("…") for line in lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_plugin_is_found_and_right(cockpit, own: Path, language: str) -> None:
    made = cockpit("plugins", "new", "my-flow", "--language", language)
    assert made.code == 0, made.err
    assert "cockpit run my-flow" in made.err
    folder = own / "my-flow"
    assert sorted(made.out.split()) == sorted(str(path) for path in folder.iterdir())
    plugin = plugins.find("my-flow")
    assert (plugin.directory, plugin.title) == (folder.resolve(), "My flow")
    assert "cockpit run my-flow" in (folder / "README.md").read_text()
    assert all(each.help for each in plugin.parameters)


@pytest.mark.parametrize(("language", "option"), [("python", "steps"), ("bash", "rounds")])
def test_a_new_plugin_runs_as_a_job(cockpit, own: Path, language: str, option: str) -> None:
    cockpit("plugins", "new", "fresh", "--language", language)
    started = cockpit("run", "--simulate", "--json", "fresh", f"--{option}", "20")
    job = json.loads(started.out)
    ended = cockpit("wait", "--simulate", job["id"])
    assert ended.code == 0, ended.err
    told = json.loads(cockpit("job", "--simulate", "--json", job["id"]).out)
    assert (told["progress"]["done"], told["progress"]["total"]) == (20, 20)
    charted = [view["metrics"] for view in told["views"] if view["type"] == "chart"]
    assert charted and all(name in told["metrics"] for names in charted for name in names)
    drawn = {view["name"] for view in told["views"] if view["type"] == "field"}
    assert drawn <= set(told["frames"])


def test_without_a_compiler_the_cuda_plugin_says_so_and_ends_with_2(
    cockpit, own: Path, tmp_path: Path
) -> None:
    cockpit("plugins", "new", "card", "--language", "cuda")
    done = by_hand(own / "card", tmp_path, **tools(tmp_path, "bash", "sed", "date"))
    assert done.returncode == 2
    assert "There is neither nvcc nor a C++ compiler here" in done.stderr
    (event,) = told(tmp_path)
    assert (event["type"], event["level"]) == ("message", "error")


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to compile with")
def test_without_nvcc_the_cuda_plugin_runs_on_the_processor_and_says_so(
    cockpit, own: Path, tmp_path: Path
) -> None:
    cockpit("plugins", "new", "card", "--language", "cuda")
    needed = tools(tmp_path, "bash", "sed", "date", "g++", "as", "ld")
    done = by_hand(own / "card", tmp_path, chosen={"mebibytes": 1, "batches": 3}, **needed)
    assert done.returncode == 0, done.stderr
    first, *events = told(tmp_path)
    assert first["text"] == "There is no nvcc here, so this runs on the processor."
    assert [event["type"] for event in events[:2]] == ["roofline", "kernel"]
    assert events[0]["device"] == "CPU, one thread"
    assert (events[-1]["done"], events[-1]["total"]) == (3, 3)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc to compile with")
@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU here")
def test_without_a_gpu_the_cuda_plugin_compiles_and_says_why_it_runs_on_the_processor(
    cockpit, own: Path, tmp_path: Path
) -> None:
    cockpit("plugins", "new", "card", "--language", "cuda")
    done = by_hand(own / "card", tmp_path, chosen={"mebibytes": 1, "batches": 1})
    assert done.returncode == 0, done.stderr
    assert told(tmp_path)[0]["text"].startswith("Compiled, but there is no CUDA device, so ")


def tools(directory: Path, *names: str) -> dict[str, str]:
    """Variables for a place with no programs but these."""
    folder = directory / "bin"
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or "")
    return {"PATH": str(folder), "CUDA_HOME": str(directory), "CXX": "none"}


def told(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]


def by_hand(
    folder: Path, directory: Path, chosen: dict[str, int] | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    (directory / "parameters.json").write_text(json.dumps(chosen or {}))
    events = {
        "COCKPIT_PARAMETERS": str(directory / "parameters.json"),
        "COCKPIT_EVENTS": str(directory / "events.jsonl"),
        "COCKPIT_JOB_DIR": str(directory),
    }
    return subprocess.run(
        [shutil.which("bash") or "", "workload.sh"],
        cwd=folder,
        env={**os.environ, **events, **changes},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_nothing_that_is_there_is_touched(cockpit, own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "plugin.toml").write_text("precious")
    done = cockpit("plugins", "new", "mine", "--path", str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert f"{folder} is there already" in done.err
    assert [path.name for path in folder.iterdir()] == ["plugin.toml"]
    assert (folder / "plugin.toml").read_text() == "precious"


def test_a_folder_that_is_not_searched_is_told(cockpit, own: Path, tmp_path: Path) -> None:
    done = cockpit("plugins", "new", "far", "--path", str(tmp_path), "--json")
    assert json.loads(done.out)["directory"] == str(tmp_path / "far")
    assert "is not searched for plugins" in done.err
    assert plugins.load(tmp_path / "far").name == "far"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("new",), "new what?"),
        (("new", "../up"), "'../up' cannot be the name"),
        (("new", "Two words"), "cannot be the name"),
        (("new", "cfd"), "there is a plugin cfd already"),
        (("new", "x", "--language", "cobol"), "invalid choice: 'cobol'"),
        (("list", "--path", "/x"), "--path belongs to `cockpit plugins new`"),
        (("path", "x"), "path takes no name"),
    ],
)
def test_bad_use_is_told_and_makes_nothing(
    cockpit, own: Path, words: tuple[str, ...], told: str
) -> None:
    done = cockpit("plugins", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert not own.exists()


def test_a_place_that_cannot_be_written_is_told(cockpit, own: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = cockpit("plugins", "new", "x", "--path", str(tmp_path / "file" / "deep"))
    assert done.code == 1
    assert "cannot be written: Not a directory" in done.err
