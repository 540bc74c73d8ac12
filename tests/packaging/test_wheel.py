"""An installed cockpit is whole: built as a wheel, installed into a fresh environment, used there."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.heavy, pytest.mark.network]

REPOSITORY = Path(__file__).parents[2]


def output_of(*command: object, environment: dict[str, str] | None = None, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment that has only the wheel and what it requires."""
    place = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", place)
    output_of(*build, REPOSITORY, cwd=place)
    (wheel,) = place.glob("cockpit-*.whl")
    venv.create(place / "venv", with_pip=True)
    binaries = place / "venv" / "bin"
    output_of(binaries / "python", "-m", "pip", "install", "--quiet", wheel, cwd=place)
    return binaries


@pytest.fixture(scope="module")
def environment(
    tmp_path_factory: pytest.TempPathFactory, installed: Path
) -> Iterator[dict[str, str]]:
    """Private directories; the agents started there are ended."""
    home = tmp_path_factory.mktemp("x")
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    found = kept | {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    yield found
    output_of(installed / "cockpit", "agent", "stop", "--all", environment=found, cwd=home)


@pytest.fixture
def cockpit(installed: Path, environment: dict[str, str], tmp_path: Path):
    def run(*words: str) -> str:
        return output_of(installed / "cockpit", *words, environment=environment, cwd=tmp_path)

    return run


def test_it_tells_its_version(cockpit) -> None:
    assert cockpit("--version").startswith("cockpit ")


def test_it_shows_the_simulated_box(cockpit) -> None:
    document = json.loads(cockpit("status", "--simulate", "--json"))
    assert document["schema"] == 1
    assert document["box"]["source"] == "simulated"
    assert len(document["gpus"]) == 10


@pytest.mark.parametrize("command", ["themes", "plugins"])
def test_what_is_shipped_came_along(cockpit, command: str) -> None:
    shipped = {path.name.removesuffix(".toml") for path in (REPOSITORY / command).glob("[a-z]*")}
    found = {entry["name"] for entry in json.loads(cockpit(command, "--json"))[command]}
    assert shipped and found == shipped


@pytest.mark.parametrize("language", ["python", "bash", "cuda"])
def test_the_templates_of_plugins_came_along(cockpit, tmp_path: Path, language: str) -> None:
    cockpit("plugins", "new", "mine", "--language", language, "--path", str(tmp_path))
    template = REPOSITORY / "cockpit" / "_templates" / "plugin" / language
    made = {path.name for path in (tmp_path / "mine").iterdir()}
    assert made == {path.name for path in template.iterdir() if path.is_file()}


def test_the_defaults_came_along(cockpit, installed: Path) -> None:
    (shipped,) = installed.parent.glob("lib/python*/site-packages/cockpit/_shipped/cockpit.toml")
    assert shipped.read_text() == (REPOSITORY / "cockpit.toml").read_text()
    assert cockpit("--config", str(shipped), "config", "validate").startswith("ok")
