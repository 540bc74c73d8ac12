"""plugin.toml: what is right becomes options and checked values, what is wrong is named."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cockpit import parameters, plugins
from cockpit.cli.options import GLOBAL_OPTIONS
from cockpit.cli.run import run
from cockpit.errors import UsageError

GOOD = """
name = "tunnel"
title = "Wind tunnel"
summary = "Air around things."
kind = "simulation"
command = ["python", "workload.py"]
requires = ["numpy>=2"]
[gpus]
min = 0
default = 1
max = 2
[parameters.nx]
type = "int"
default = 256
minimum = 16
maximum = 4096
unit = "cells"
help = "Length of the tunnel"
[parameters.speed]
type = "float"
default = 0.1
[parameters.shape]
type = "choice"
default = "sphere"
choices = ["sphere", "wing"]
[parameters.fast]
type = "bool"
default = false
[parameters.out]
type = "path"
[[views]]
type = "field"
name = "speed"
title = "Speed"
[[views]]
type = "chart"
metrics = ["mlups"]
"""


def write(root: Path, text: str, name: str = "tunnel") -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plugin.toml").write_text(text)
    return folder


MORE = """
[presets.fine]
title = "Fine"
summary = "Takes long."
gpus = 2
parameters = { nx = 512, out = "/fine" }
[bench]
requires = ["scipy"]
parameters = { nx = 64, out = "/bench" }
"""


@pytest.fixture
def tunnel(tmp_path: Path) -> plugins.Plugin:
    return plugins.load(write(tmp_path, GOOD + MORE))


def test_a_plugin_is_read_whole(tunnel: plugins.Plugin) -> None:
    assert (tunnel.title, tunnel.kind, tunnel.gpus.maximum) == ("Wind tunnel", "simulation", 2)
    assert [parameter.name for parameter in tunnel.parameters] == [
        "nx", "speed", "shape", "fast", "out",
    ]  # fmt: skip
    assert [view["type"] for view in tunnel.views] == ["field", "chart"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'name = "tunnel"',
            'name = "other"',
            "name: got 'other', wants the folder's name, 'tunnel'",
        ),
        ('title = "Wind tunnel"', "", "title: got nothing, wants text"),
        ('kind = "simulation"', 'kind = "game"', "kind: got 'game', wants one of llm,"),
        ('["python", "workload.py"]', '"python"', "command: got 'python', wants a list of text"),
        ('["python", "workload.py"]', "[]", "command: wants a list"),
        ('requires = ["numpy>=2"]', "requires = [1]", "requires: got [1]"),
        ("max = 2", "max = -1", "gpus.max: got -1"),
        ("max = 2", "max = 0", "wants min ≤ default ≤ max"),
        ("max = 2", "most = 2", "gpus.most: no such key; keys are min, default, max"),
        (
            'type = "int"',
            'type = "integer"',
            "parameters.nx.type: got 'integer', wants one of int,",
        ),
        (
            "default = 256",
            "default = 8",
            "parameters.nx.default: got 8, wants a whole number from 16",
        ),
        ("minimum = 16", 'minimum = "a"', "parameters.nx.minimum: got 'a', wants a number"),
        ("unit =", "units =", "parameters.nx.units: no such key"),
        ('choices = ["sphere", "wing"]', "", "parameters.shape.choices"),
        ("[parameters.nx]", "[parameters.gpus]", "taken by an option"),
        ("[parameters.nx]", '[parameters."n x"]', "letters, digits"),
        ('type = "field"', 'type = "movie"', "type: got 'movie', wants one of chart, field, image"),
        ('title = "Speed"', "title = 1", "views, number 1: title: got 1, wants text"),
        ('title = "Speed"', 'log = "x"', "views, number 1: log: no such key"),
        ('name = "speed"', "", "views, number 1: name: wants"),
        ('metrics = ["mlups"]', "", "views, number 2: metrics: wants"),
        ("[gpus]", "[check]\nsteps = 1\n[gpus]", "check.steps: no such key"),
        ("[gpus]", "[check]\nparameters = 1\n[gpus]", "check.parameters: got 1"),
        (
            "[gpus]",
            "[check]\nparameters = {nz = 1}\n[gpus]",
            "check.parameters.nz: there is no such parameter",
        ),
        (
            "[gpus]",
            "[check]\nparameters = {nx = 1}\n[gpus]",
            "check.parameters.nx: got 1, wants a whole number from 16 to 4096",
        ),
        ("[gpus]", "[presets.fine]\n[gpus]", "presets.fine.title: got nothing, wants text"),
        (
            "[gpus]",
            "[presets.fine]\ntitle = 'F'\ngpus = 3\n[gpus]",
            "presets.fine.gpus: got 3, wants 0 to 2 GPUs",
        ),
        (
            "[gpus]",
            "[presets.fine]\ntitle = 'F'\nparameters = {nx = 1}\n[gpus]",
            "presets.fine.parameters.nx: got 1, wants a whole number from 16",
        ),
        ("[gpus]", "[presets.Fine]\n[gpus]", "presets.Fine: the name must be small letters"),
        ("[gpus]", "[bench]\ncommand = []\n[gpus]", "bench.command: wants a list of text"),
        ("[gpus]", "[bench]\ntime = 1\n[gpus]", "bench.time: no such key"),
        ("[gpus]", "colour = 1\n[gpus]", "colour: no such key"),
        ("[gpus]", "[gpus", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in GOOD
    folder = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as error:
        plugins.load(folder)
    assert words in error.value.message
    assert str(folder / "plugin.toml") in error.value.message


def test_a_broken_plugin_is_listed_with_its_reason_and_hurts_no_other(
    tmp_path: Path, short_tmp: Path
) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "kind = 1", "sick")
    found = plugins.find_all([tmp_path])
    assert "tunnel" in [plugin.name for plugin in found.plugins]
    broken = {each.name: each.reason for each in found.broken}
    assert "plugin.toml: name: got nothing" in broken["sick"]
    assert {"tunnel", "sick"} <= set(plugins.names([tmp_path]))
    with pytest.raises(UsageError, match="there is no plugin 'tunel'"):
        plugins.find("tunel", [tmp_path])


def test_the_users_own_folder_is_searched(tmp_path: Path, short_tmp: Path) -> None:
    assert "tunnel" not in plugins.names()
    write(short_tmp / "CONFIG_HOME/cockpit/plugins", GOOD)
    assert plugins.find("tunnel").title == "Wind tunnel"


def test_values_are_read_from_text_and_completed_by_defaults(tunnel: plugins.Plugin) -> None:
    values = plugins.validate(tunnel, {"nx": "64", "fast": "yes", "out": "here", "speed": 1})
    assert values == {
        "nx": 64, "speed": 1.0, "shape": "sphere", "fast": True, "out": str(Path("here").absolute()),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nx": "8"}, "nx: got 8, wants a whole number from 16 to 4096 (cells)"),
        ({"nx": "many"}, "nx: got 'many', wants a whole number"),
        ({"nx": 1.5}, "nx: got 1.5"),
        ({"nx": True}, "nx: got True"),
        ({"speed": "inf"}, "speed: got inf, wants a number"),
        ({"shape": "cube"}, "shape: got 'cube', wants one of sphere, wing"),
        ({"fast": "maybe"}, "fast: got 'maybe', wants true or false"),
        ({"ny": "8"}, "tunnel has no parameter 'ny'"),
        ({}, "tunnel needs out: path"),
    ],
)
def test_a_value_that_cannot_be_right_is_named(
    tunnel: plugins.Plugin, values: dict[str, object], words: str
) -> None:
    if values:
        values = {"out": "x", **values}
    with pytest.raises(UsageError) as error:
        plugins.validate(tunnel, values)
    assert words in error.value.message


def test_options_come_from_the_parameters(
    tunnel: plugins.Plugin, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser("run")
    parameters.add_options(parser, tunnel.parameters)
    assert parameters.given(parser.parse_args(["--nx", "32"])) == {"nx": "32"}
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    page = " ".join(capsys.readouterr().out.split())
    assert "Length of the tunnel; a whole number from 16 to 4096 (cells); default 256" in page
    assert "a path; required" in page and "default false" in page


def test_no_parameter_can_take_the_name_of_an_option() -> None:
    """`--speed` is one only beside `--replay`, where nothing runs."""
    parser = argparse.ArgumentParser("run")
    run.add_arguments(parser)
    words = [word for action in parser._actions for word in action.option_strings]
    words += [option for option, *_ in GLOBAL_OPTIONS if option != "--speed"]
    options = {word[2:].replace("-", "_") for word in words if word.startswith("--")}
    assert options <= set(parameters.RESERVED)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"minimum": 0, "maximum": 1_000_000_000}, "a number from 0 to 1 000 000 000"),
        ({"minimum": 0.25}, "a number of at least 0.25"),
        ({"maximum": 1e-6}, "a number of at most 1e-06"),
        ({"minimum": -20_000, "maximum": 1e30}, "a number from -20 000 to 1e+30"),
    ],
)
def test_bounds_are_written_out_as_people_read_them(bounds: dict[str, float], words: str) -> None:
    assert parameters.Parameter("n", "float", **bounds).wants == words


def test_a_number_of_gpus_agrees_with_its_noun() -> None:
    needs = [plugins.GpuNeed(*bounds) for bounds in ((1, 1, 1), (0, 1, 1), (2, 2, 2))]
    assert [need.wants for need in needs] == ["1 GPU", "0 to 1 GPUs", "2 GPUs"]


def test_a_request_has_checked_parameters_and_gpus(tunnel: plugins.Plugin) -> None:
    request = plugins.request(tunnel, {"out": "x"}, gpus=2, token="t")
    assert (request.plugin, request.gpus, request.parameters["nx"]) == ("tunnel", 2, 256)
    assert plugins.request(tunnel, {"out": "x"}).gpus == 1
    with pytest.raises(UsageError, match="tunnel runs on 0 to 2 GPUs, not on 3"):
        plugins.request(tunnel, {"out": "x"}, gpus=3)


def test_what_is_given_wins_over_the_preset_and_the_preset_over_the_defaults(
    tunnel: plugins.Plugin,
) -> None:
    fine = plugins.request(tunnel, {}, preset="fine")
    assert (fine.gpus, fine.parameters["nx"], fine.parameters["speed"]) == (2, 512, 0.1)
    own = plugins.request(tunnel, {"nx": "32"}, gpus=1, preset="fine")
    assert (own.gpus, own.parameters["nx"], own.parameters["out"]) == (1, 32, "/fine")
    with pytest.raises(UsageError, match="tunnel has no preset 'coarse'"):
        plugins.request(tunnel, {"out": "x"}, preset="coarse")


def test_a_benchmark_is_the_plugin_with_its_own_command_needs_and_values(
    tunnel: plugins.Plugin, tmp_path: Path
) -> None:
    request = plugins.bench_request(tunnel, {"speed": "0.2"}, gpus=0)
    assert (request.name, request.command) == ("bench-tunnel", ("python", "workload.py"))
    assert (request.requires, request.gpus) == (("numpy>=2", "scipy"), 0)
    assert (request.parameters["nx"], request.parameters["speed"]) == (64, 0.2)
    assert [view["type"] for view in request.views] == ["table"]
    without = plugins.load(write(tmp_path, GOOD))
    with pytest.raises(UsageError, match="tunnel has no benchmark"):
        plugins.bench_request(without, {"out": "x"})
