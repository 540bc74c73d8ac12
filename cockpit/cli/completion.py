"""`cockpit completion bash|zsh|fish`: a completion script, made from the commands themselves."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cockpit import plugins
from cockpit.cli.command import Command
from cockpit.cli.options import GLOBAL_OPTIONS, SIMULATED_KINDS
from cockpit.cli.table import load_command


@dataclass(frozen=True)
class Words:
    """What can follow a command: options and fixed words, each with its summary."""

    name: str
    summary: str
    options: tuple[tuple[str, str], ...]
    choices: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        'Print a completion script. bash: add `eval "$(cockpit completion bash)"` to ~/.bashrc; '
        "zsh: the same with zsh in ~/.zshrc, after compinit; "
        "fish: cockpit completion fish > ~/.config/fish/completions/cockpit.fish"
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(arguments: argparse.Namespace) -> int:
    """Print the script for that shell."""
    script = {"bash": bash, "zsh": zsh, "fish": fish}[arguments.shell]
    print(script(list(walk())))
    return 0


completion = Command(add_arguments, run)


def walk() -> Iterator[Words]:
    """Every command of the table with the words its own parser knows; `run` and `bench` with the plugins."""
    from cockpit.cli.main import COMMANDS

    for name, (summary, target) in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"cockpit {name}", allow_abbrev=False)
        load_command(target).add_arguments(parser)
        words = words_of(name, summary, parser)
        # A folder may be called anything, and a script is evaluated: only plain names go in.
        names = tuple(each for each in plugins.names() if re.fullmatch(r"[\w.-]+", each))
        yield replace(words, choices=names) if name in ("run", "bench") else words


def words_of(name: str, summary: str, parser: argparse.ArgumentParser) -> Words:
    """The options of a parser, and the choices of its positional arguments."""
    options, choices = [], []
    for action in parser._actions:
        for option in action.option_strings:
            if option.startswith("--"):
                options.append((option, _plain(action.help)))
        if not action.option_strings and action.choices is not None:
            choices += [str(choice) for choice in action.choices]
    return Words(name, summary, tuple(options), tuple(choices))


def _plain(text: str | None) -> str:
    """Help without what a shell or argparse would read as code."""
    kept = (text or "").replace("%%", "%").replace("`", "").replace("'", "’")
    return "".join(letter for letter in kept if letter not in '"\\$[]').split(" (default")[0]


def bash(commands: list[Words]) -> str:
    """A function that completes the command first, then its own options and words."""
    globals_ = " ".join([option for option, *_ in GLOBAL_OPTIONS] + ["--help", "--version"])
    cases = "\n".join(
        f"        {words.name}) words='{' '.join([*words.choices, *dict(words.options)])}' ;;"
        for words in commands
    )
    names = " ".join(words.name for words in commands)
    return f"""\
_cockpit() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local command="" word words skip=""
    COMPREPLY=()
    case "$previous" in
        --simulate) COMPREPLY=($(compgen -W '{" ".join(SIMULATED_KINDS)}' -- "$current")) ;;
        --replay|--config) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ -n "$skip" ]]; then skip=""; continue; fi
        case "$word" in
            --replay|--config|--speed) skip=1 ;;
            {"|".join(SIMULATED_KINDS)}) ;;
            -*) ;;
            *) command="$word"; break ;;
        esac
    done
    case "$command" in
        "") words='{names}' ;;
{cases}
        *) words='' ;;
    esac
    if [[ "$current" == -* ]]; then words="$words {globals_}"; fi
    COMPREPLY+=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _cockpit cockpit"""


def zsh(commands: list[Words]) -> str:
    """A compdef function: commands with their summaries, then options with theirs."""
    names = "\n".join(f"        '{words.name}:{_plain(words.summary)}'" for words in commands)
    globals_ = " ".join(f"'{option}[{_plain(summary)}]'" for option, _, summary in GLOBAL_OPTIONS)
    cases = []
    for words in commands:
        options = [f"'{option}[{summary}]'" for option, summary in words.options]
        if words.choices:
            options.append(f"'1:word:({' '.join(words.choices)})'")
        specs = " ".join([*options, globals_, "'*:file:_files'"])
        cases.append(f"        {words.name}) _arguments {specs} ;;")
    return f"""\
#compdef cockpit
_cockpit() {{
    local context state state_descr line
    typeset -A opt_args
    _arguments -C {globals_} '--help[help]' '--version[version]' '1:command:->command' \
'*::argument:->argument'
    case $state in
        command)
            local -a commands=(
{names}
            )
            _describe command commands ;;
        argument) case $line[1] in
{chr(10).join(cases)}
        esac ;;
    esac
}}
compdef _cockpit cockpit"""


def fish(commands: list[Words]) -> str:
    """One `complete` line for each command, option and word."""
    lines = ["complete -c cockpit -f"]
    for option, value, summary in GLOBAL_OPTIONS:
        needs = " -r -F" if value == "FILE" else ""
        lines.append(f"complete -c cockpit -l {option[2:]}{needs} -d '{_plain(summary)}'")
    for words in commands:
        lines.append(
            f"complete -c cockpit -n __fish_use_subcommand -a {words.name} "
            f"-d '{_plain(words.summary)}'"
        )
        inside = f"complete -c cockpit -n '__fish_seen_subcommand_from {words.name}'"
        lines += [f"{inside} -l {option[2:]} -d '{summary}'" for option, summary in words.options]
        if words.choices:
            lines.append(f"{inside} -a '{' '.join(words.choices)}'")
    return "\n".join(lines)
