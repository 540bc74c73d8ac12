"""Completion scripts: real shells take them, and offer what the commands themselves know."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cockpit.cli.completion import walk
from cockpit.cli.main import COMMANDS


def in_shell(shell: str, script: str, then: str) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *options, "-c", f"{script}\n{then}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "" and done.returncode == 0, done
    return done.stdout


def offered_by_bash(cockpit, *words: str) -> set[str]:
    line = " ".join(f"'{word}'" for word in ("cockpit", *words))
    then = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _cockpit; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(in_shell("bash", cockpit("completion", "bash").out, then).split())


def test_every_command_is_walked_with_its_own_options() -> None:
    found = {words.name: words for words in walk()}
    assert list(found) == list(COMMANDS)
    assert "--watch" in dict(found["status"].options)
    assert found["config"].choices == ("show", "validate", "path")


def test_bash_offers_the_commands_first(cockpit) -> None:
    assert offered_by_bash(cockpit, "") == set(COMMANDS)
    assert offered_by_bash(cockpit, "sta") == {"status"}


def test_bash_offers_a_commands_own_options_wherever_the_global_ones_stand(cockpit) -> None:
    assert offered_by_bash(cockpit, "status", "--wa") == {"--watch"}
    assert offered_by_bash(cockpit, "--simulate", "sxm", "status", "--wa") == {"--watch"}
    assert offered_by_bash(cockpit, "--replay", "jobs", "history", "--cs") == {"--csv"}
    assert "--watch" not in offered_by_bash(cockpit, "events", "--")
    assert offered_by_bash(cockpit, "config", "v") == {"validate"}


def test_bash_offers_the_plugins_to_run(cockpit) -> None:
    assert offered_by_bash(cockpit, "run", "cf") == {"cfd"}
    assert offered_by_bash(cockpit, "bench", "cf") == {"cfd"}


def test_a_folder_with_a_wild_name_does_not_get_into_the_script(cockpit, cli_home) -> None:
    folder = Path(cli_home["XDG_CONFIG_HOME"]) / "cockpit" / "plugins" / "x' ; echo oops '"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").touch()
    try:
        assert "oops" not in cockpit("completion", "bash").out
    finally:
        shutil.rmtree(folder)


def test_bash_offers_the_kinds_of_simulated_box(cockpit) -> None:
    assert {"pcie", "sxm", "nvl"} <= offered_by_bash(cockpit, "--simulate", "")


def test_zsh_takes_the_script(cockpit) -> None:
    prepared = "autoload -Uz compinit; compinit -u -D\n" + cockpit("completion", "zsh").out
    told = in_shell("zsh", prepared, "print -r -- $_comps[cockpit]; which _cockpit")
    assert told.startswith("_cockpit\n") and "--watch" in told


def test_fish_offers_commands_and_their_options(cockpit) -> None:
    script = cockpit("completion", "fish").out
    told = in_shell("fish", script, 'complete -C "cockpit sta"; complete -C "cockpit status --wa"')
    assert told.splitlines()[0].startswith("status\t")
    assert any(line.startswith("--watch\t") for line in told.splitlines())


def test_another_shell_is_bad_use(cockpit) -> None:
    found = cockpit("completion", "tcsh")
    assert found.code == 2 and "tcsh" in found.err
