"""Where plugins lie, and the one of a name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cockpit import paths
from cockpit.errors import UsageError
from cockpit.plugins.families import with_family
from cockpit.plugins.manifest import FILE, load
from cockpit.plugins.model import BrokenPlugin, Found, Plugin
from cockpit.shipped import shipped


def own_folder() -> Path:
    """Where the user's own plugins lie; it need not exist."""
    return paths.config_dir() / "plugins"


def roots(extra: Iterable[str | Path] = ()) -> tuple[Path, ...]:
    """The folders searched for plugins; of two plugins of one name that in the later folder wins."""
    return (shipped("plugins"), own_folder(), *(Path(each).expanduser() for each in extra))


def folders(extra: Iterable[str | Path] = ()) -> dict[str, Path]:
    """Name → folder of every plugin, nothing read. The user's own win over the shipped, `extra` over both."""
    found: dict[str, Path] = {}
    for root in roots(extra):
        for file in sorted(root.glob(f"*/{FILE}")):
            found[file.parent.name] = file.parent
    return dict(sorted(found.items()))


def names(extra: Iterable[str | Path] = ()) -> tuple[str, ...]:
    """The names of all plugins, broken ones included."""
    return tuple(folders(extra))


def find(name: str, extra: Iterable[str | Path] = ()) -> Plugin:
    """One plugin. Raises UsageError if there is none of that name, or if it is broken."""
    known = folders(extra)
    if name not in known:
        have = ", ".join(known) or "none"
        raise UsageError(f"there is no plugin {name!r}", f"Plugins here: {have}.")
    plugin = load(known[name])
    return plugin if plugin.environment is None else with_family(plugin, find_all(extra).plugins)


def find_all(extra: Iterable[str | Path] = ()) -> Found:
    """Every plugin, and every broken one with its reason."""
    plugins: list[Plugin] = []
    broken: list[BrokenPlugin] = []
    for name, directory in folders(extra).items():
        try:
            plugins.append(load(directory))
        except UsageError as error:
            broken.append(BrokenPlugin(name, directory, error.message))
    whole = tuple(with_family(plugin, plugins) for plugin in plugins)
    return Found(whole, tuple(broken))
