"""cockpit.toml: what wins over what, and what is said when something cannot be right."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit import config, config_check
from cockpit.cli.main import main
from cockpit.config import Config, load
from cockpit.errors import UsageError
from cockpit.settings import AgentSettings
from cockpit.shipped import shipped


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(config, "SYSTEM_FILE", tmp_path / "system.toml")
    for name in (*config.ENVIRONMENT, "COCKPIT_CONFIG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def user(text: str) -> Path:
    return write(config.user_file(), text)


def wrong(text: str) -> str:
    user(text)
    with pytest.raises(UsageError) as caught:
        load()
    return caught.value.message


def test_the_shipped_file_says_what_the_defaults_are() -> None:
    built, problems = config_check.build([config_check.read_layer(shipped("cockpit.toml"))])
    assert problems == []
    assert built == Config()


def test_the_shipped_file_explains_every_key() -> None:
    text = shipped("cockpit.toml").read_text()
    for key in config_check.known_keys():
        name = key.partition(".")[2]
        assert f"\n{name} = " in text or f"\n# {name} = " in text, key


def test_every_number_has_bounds_that_its_default_keeps() -> None:
    for key in config_check.known_keys():
        section, _, name = key.partition(".")
        default = getattr(getattr(Config(), section), name)
        if type(default) in (int, float):
            assert config_check.check(key, default) == default


def test_the_defaults_tell_the_agent_its_own_defaults() -> None:
    assert Config().agent_settings() == AgentSettings()


def test_later_layers_win_and_say_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = write(
        tmp_path / "system.toml",
        '[terminal]\ntheme = "a"\nrefresh_s = 2\n[energy]\nprice_per_kwh = 1\ncurrency = "CHF"\n',
    )
    own = user('[terminal]\ntheme = "b"\n[energy]\ncurrency = "SEK"\n')
    extra = write(tmp_path / "extra.toml", '[terminal]\ntheme = "c"\n')
    monkeypatch.setenv("COCKPIT_THEME", "d")
    found = load(extra, {"simulate.demo": True})
    assert (found.terminal.theme, found.terminal.refresh_s) == ("d", 2.0)
    assert (found.energy.price_per_kwh, found.energy.currency) == (1.0, "SEK")
    assert found.provenance("terminal.theme") == "environment COCKPIT_THEME"
    assert found.provenance("terminal.refresh_s") == f"{system}, line 3"
    assert found.provenance("energy.currency") == f"{own}, line 4"
    assert found.provenance("simulate.demo") == "command line"
    assert found.provenance("agent.source") == "shipped default"
    monkeypatch.delenv("COCKPIT_THEME")
    assert load(extra).provenance("terminal.theme") == f"{extra}, line 2"


def test_what_is_secret_of_a_webhook_reaches_the_agent_but_no_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    user(
        "[notify]\nwebhook = 'https://me:s3cret@hooks.example/s3cret?key=s3cret'\n"
        "webhook_headers = { Authorization = 'Bearer s3cret' }\n"
    )
    assert load().agent_settings().notify.webhook_headers == {"Authorization": "Bearer s3cret"}
    for form in ([], ["--json"]):
        assert main(["config", "show", *form]) == 0
        shown = capsys.readouterr().out
        assert "Authorization" in shown and "s3cret" not in shown
        assert '"https://hooks.example/…"' in shown


def test_no_color_yields_to_a_file_that_asks_for_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert load().terminal.color == "none"
    user('[terminal]\ncolor = "256"\n')
    assert load().terminal.color == "256"


def test_never_ending_is_written_as_zero() -> None:
    user("[agent]\nidle_exit_s = 0\n")
    assert load().agent_settings().idle_exit_s is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[terminal]\n\ntheme = 3\n", ["line 3", "terminal.theme", "got 3", "wants text"]),
        ("[agent]\nintervall_s = 1\n", ["line 2", "agent.intervall_s", "did you mean interval_s?"]),
        ("[agent]\ninterval_s = 0\n", ["agent.interval_s", "got 0", "from 0.1 to 3600"]),
        ("[agent]\ninterval_s = nan\n", ["agent.interval_s", "got nan"]),
        ("[agent]\nhistory = 1\n", ["agent.history", "got 1", "true or false"]),
        ('[agent]\nsource = "simulate"\n', ["agent.source", "did you mean simulated?"]),
        ("[simulate]\ngpu_count = 2.0\n", ["simulate.gpu_count", "a whole number from 1 to 64"]),
        ('[simulate]\nfaults = ["3:fire"]\n', ["simulate.faults", "3:fire", "lost, hot"]),
        ("[plugins]\npaths = [1]\n", ["plugins.paths", "a list of texts"]),
        ("[treminal]\ntheme = 'x'\n", ["line 1", "[treminal]", "did you mean terminal?"]),
        ("theme = 'x'\n", ["line 1", "theme"]),
        ("terminal = 3\n", ["terminal", "wants a table"]),
        ("[keys]\nquit = 3\n", ["keys.quit", "got 3"]),
        ("[agent]\nprice_per_kwh = 1\n", ["agent.price_per_kwh", "energy.price_per_kwh"]),
        ("[notify]\nwebhook = 'ftp://x'\n", ["notify.webhook", "https://"]),
        ('[notify]\ncommand = "say \'done"\n', ["notify.command", "No closing quotation"]),
        ("[notify]\nwhen = ['DONE']\n", ["notify.when", "got 'DONE'", '"COMPLETED"']),
        ("[notify]\nwebhook_headers = {'a b' = 'c'}\n", ["webhook_headers", "'a b'"]),
        ("[notify]\nwebhook_headers = {a = 1}\n", ["webhook_headers", "text for a"]),
        ("[environments]\nprebuilt = 'x'\n", ["environments.prebuilt", "a table of texts"]),
        ("[environments]\nprebuilt = {torch = 'bin/python'}\n", ["prebuilt", "absolute path"]),
        ("[environments]\ntorch_backend = 'gpu'\n", ["torch_backend", '"cu130"']),
        ("[terminal\n", ["is not TOML", "line 1"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, words: list[str]) -> None:
    message = wrong(text)
    assert str(config.user_file()) in message
    for word in words:
        assert word in message


def test_every_wrong_value_is_told_at_once() -> None:
    message = wrong("[agent]\ninterval_s = -1\n[terminal]\ncolor = 'pink'\n")
    assert "agent.interval_s" in message and "terminal.color" in message


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCKPIT_REFRESH_S", "often")
    with pytest.raises(UsageError, match=r"environment COCKPIT_REFRESH_S: terminal\.refresh_s"):
        load()


def test_a_number_in_the_environment_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCKPIT_REFRESH_S", "2")
    assert load().terminal.refresh_s == 2.0


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"[agent]\n\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load(path)


plain_values = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(max_size=8), st.lists(st.integers())
)


def toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else "?" for c in value) + '"'
    return str(value)


@given(
    key=st.sampled_from(
        [*config_check.known_keys(), "keys.quit", "agent.nothing", "nothing.at_all"]
    ),
    value=plain_values.filter(lambda value: not _has_surrogates(value)),
)
@settings(max_examples=150, deadline=None)
def test_any_value_either_fits_or_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    section, _, name = key.partition(".")
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(f"[{section}]\n{name} = {toml(value)}\n")
    try:
        found = load(path)
    except UsageError as error:
        assert section in error.message and str(path) in error.message
        assert name in error.message or "section" in error.message
    else:
        assert found.provenance(key) == f"{path}, line 2"


@given(text=st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_either_loads_or_is_refused_by_file(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "text.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        load(path)
    except UsageError as error:
        assert str(path) in error.message


def _has_surrogates(value: object) -> bool:
    return isinstance(value, str) and any(0xD800 <= ord(letter) < 0xE000 for letter in value)
