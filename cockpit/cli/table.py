"""From a name in the table of commands to the command itself."""

from __future__ import annotations

import importlib

from cockpit.cli.command import Command


def load_command(target: str) -> Command:
    """The Command that `module:object` names; imports that module and no other command's."""
    module, _, attribute = target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, Command)
    return command
