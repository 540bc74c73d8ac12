"""Plugins that name the same `environment` know each other; a lock of one's own is another way."""

from pathlib import Path

import pytest

from cockpit import plugins
from cockpit.errors import UsageError
from cockpit.model import FamilyMember


@pytest.fixture(autouse=True)
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cockpit.plugins.finding.shipped", lambda _: tmp_path / "shipped")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


def make(root: Path, name: str, more: str = "") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    text = f'name = "{name}"\ntitle = "T"\nsummary = "S"\nkind = "tool"\ncommand = ["true"]\n{more}'
    (folder / "plugin.toml").write_text(text)
    return folder


def test_a_family_is_every_plugin_that_names_it(tmp_path: Path) -> None:
    make(tmp_path, "vision", 'environment = "torch"\nrequires = ["torch", "timm"]')
    make(tmp_path, "bert", 'environment = "torch"\nrequires = ["torch"]')
    make(tmp_path, "other", 'environment = "rapids"\nrequires = ["cudf"]')
    make(tmp_path, "alone", 'requires = ["torch"]')
    make(tmp_path, "broken", 'environment = "torch"\nrequires = 3')
    family = (FamilyMember("bert", ("torch",)), FamilyMember("vision", ("torch", "timm")))
    request = plugins.request(plugins.find("vision", [tmp_path]), {})
    assert (request.environment_name, request.family) == ("torch", family)
    found = {plugin.name: plugin.family for plugin in plugins.find_all([tmp_path]).plugins}
    assert found["bert"] == found["vision"] == family
    assert found["other"] == (FamilyMember("other", ("cudf",)),)
    assert found["alone"] == ()


def test_a_lock_and_a_family_exclude_each_other(tmp_path: Path) -> None:
    folder = make(tmp_path, "vision", 'environment = "torch"')
    (folder / "requirements.lock").write_text("torch==2.13.0\n")
    with pytest.raises(UsageError, match=r"environment: .*requirements\.lock"):
        plugins.load(folder)
