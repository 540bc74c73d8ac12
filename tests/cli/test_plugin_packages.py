"""Plugins that come with Python packages: found without importing them, and last of all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit import plugins
from cockpit.errors import UsageError

MANIFEST = """
name = "NAME"
title = "From TITLE"
summary = "Comes from elsewhere."
kind = "tool"
command = ["bash", "-c", "echo from a package"]
[gpus]
default = 0
"""


def manifest(name: str, title: str = "a package") -> str:
    return MANIFEST.replace("NAME", name).replace("TITLE", title)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A package `tide` with these entry points; importing any part of it fails."""
    site = tmp_path / "site"

    def run(points: str) -> Path:
        package = site / "tide"
        (package / "pools").mkdir(parents=True)
        for folder in (package, package / "pools"):
            (folder / "__init__.py").write_text("raise SystemExit('imported')")
        (package / "pools" / "plugin.toml").write_text(manifest("pools"))
        info = site / "tide-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tide\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[cockpit.plugins]\n{points}\n")
        monkeypatch.syspath_prepend(str(site))
        return package

    return run


def test_a_package_brings_a_plugin_without_being_imported(install, cockpit) -> None:
    package = install("pools = tide.pools")
    listed = json.loads(cockpit("plugins", "--json").out)["plugins"]
    (pools,) = [each for each in listed if each["name"] == "pools"]
    assert (pools["origin"], pools["package"]) == ("package", "tide 1.2")
    assert pools["directory"] == str((package / "pools").resolve())
    assert "tide 1.2" in cockpit("plugins", "list", "pools").out
    assert str(package / "pools") in cockpit("plugins", "path").out
    assert "tide" not in sys.modules


def test_it_runs_as_any_other(install, cockpit) -> None:
    install("pools = tide.pools")
    done = cockpit("run", "--simulate", "pools")
    assert (done.code, done.out) == (0, "from a package\n"), done.err


def test_the_entry_points_name_is_the_plugins_and_a_module_will_do(install) -> None:
    package = install("tide-pools = tide.work\nother = tide")
    (package / "work.py").write_text("raise SystemExit('imported')")
    (package / "plugin.toml").write_text(manifest("tide-pools"))
    assert plugins.find("tide-pools").package == "tide 1.2"
    with pytest.raises(UsageError, match="wants the entry point's name, 'other'"):
        plugins.find("other")


@pytest.mark.parametrize("target", ["tide.nowhere", "nowhere.at.all", "sys", "tide"])
def test_an_entry_point_that_leads_nowhere_is_broken_and_hurts_no_other(
    install, cockpit, target: str
) -> None:
    install(f"lost = {target}\npools = tide.pools")
    done = cockpit("plugins")
    assert done.code == 1 and "pools" in done.out
    assert f"lost is broken: the package tide 1.2 names '{target}'" in done.err
    with pytest.raises(UsageError, match=r"no plugin.toml lies there"):
        plugins.find("lost")


def test_of_two_of_one_name_the_package_gives_way_and_it_is_said(
    install, cockpit, tmp_path: Path
) -> None:
    package = install("cfd = tide.pools\npools = tide.pools")
    (tmp_path / "mine" / "pools").mkdir(parents=True)
    (tmp_path / "mine" / "pools" / "plugin.toml").write_text(manifest("pools", "me"))
    config = tmp_path / "cockpit.toml"
    config.write_text(f'[plugins]\npaths = ["{tmp_path / "mine"}"]\n')
    done = cockpit("plugins", "--json", "--config", str(config))
    document = json.loads(done.out)
    origins = {each["name"]: each["origin"] for each in document["plugins"]}
    assert (origins["pools"], origins["cfd"]) == ("configured", "shipped")
    assert sorted(each["name"] for each in document["hidden"]) == ["cfd", "pools"]
    assert f"pools (tide 1.2) of {package / 'pools'} is hidden by another" in done.err
    assert "--reynolds" in cockpit("run", "cfd", "--help").out
