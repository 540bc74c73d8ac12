"""Where plugins lie, and the one of a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cockpit import paths
from cockpit.errors import UsageError
from cockpit.plugins.families import with_family
from cockpit.plugins.manifest import FILE, load
from cockpit.plugins.model import BrokenPlugin, Found, Origin, Place, Plugin
from cockpit.shipped import shipped


def own_folder() -> Path:
    """Where the user's own plugins lie; it need not exist."""
    return paths.config_dir() / "plugins"


def roots(extra: Iterable[str | Path] = ()) -> tuple[tuple[Origin, Path], ...]:
    """The folders searched for plugins; of two plugins of one name that in the later folder wins."""
    configured = (Path(each).expanduser() for each in extra)
    return (
        ("shipped", shipped("plugins")),
        ("yours", own_folder()),
        *(("configured", each) for each in configured),
    )


def places(extra: Iterable[str | Path] = ()) -> dict[str, Place]:
    """Name → place of every plugin, nothing read; those of packages give way to all others."""
    found: dict[str, Place] = {}
    for place in _every_place(extra):
        found[place.name] = place
    return dict(sorted(found.items()))


def _every_place(extra: Iterable[str | Path]) -> Iterator[Place]:
    """From the one that any other wins over to the one that wins over all."""
    from cockpit.plugins.packages import package_places

    yield from package_places()
    yield from _in_folders(extra)


def _in_folders(extra: Iterable[str | Path]) -> Iterator[Place]:
    for origin, root in roots(extra):
        for file in sorted(root.glob(f"*/{FILE}")):
            yield Place(file.parent.name, file.parent, origin)


def names(extra: Iterable[str | Path] = ()) -> tuple[str, ...]:
    """The names of all plugins, broken ones included."""
    return tuple(places(extra))


def find(name: str, extra: Iterable[str | Path] = ()) -> Plugin:
    """One plugin. Raises UsageError if there is none of that name, or if it is broken."""
    plugin = load_place(find_place(name, extra))
    return plugin if plugin.environment is None else with_family(plugin, find_all(extra).plugins)


def find_place(name: str, extra: Iterable[str | Path] = ()) -> Place:
    """Where the plugin of a name lies. Raises UsageError if there is none."""
    # Packages come last of all, and asking what is installed costs more than a whole command.
    own = {place.name: place for place in _in_folders(extra)}
    known = own if name in own else places(extra)
    if name not in known:
        have = ", ".join(known) or "none"
        raise UsageError(f"there is no plugin {name!r}", f"Plugins here: {have}.")
    return known[name]


def load_place(place: Place) -> Plugin:
    """The plugin of a place. Raises UsageError as `load` does, and for a package without it."""
    if place.problem:
        raise UsageError(place.problem)
    plugin = load(place.directory, place.name if place.origin == "package" else None)
    return replace(plugin, origin=place.origin, package=place.package)


def find_all(extra: Iterable[str | Path] = ()) -> Found:
    """Every plugin, every broken one with its reason, and those that another one hides."""
    plugins: list[Plugin] = []
    broken: list[BrokenPlugin] = []
    known: dict[str, Place] = {}
    hidden: list[Place] = []
    for place in _every_place(extra):
        if place.name in known:
            hidden.append(known[place.name])
        known[place.name] = place
    for name, place in sorted(known.items()):
        try:
            plugins.append(load_place(place))
        except UsageError as error:
            broken.append(BrokenPlugin(name, place.directory, error.message))
    whole = tuple(with_family(plugin, plugins) for plugin in plugins)
    return Found(whole, tuple(broken), tuple(hidden))
