"""Plugins that come with installed Python packages; none of these is imported to find them.

A package names them by entry points of the group `cockpit.plugins`, each a plugin's name and the
module whose folder has its plugin.toml:

    [project.entry-points."cockpit.plugins"]
    ripples = "my_package.ripples"
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from cockpit.plugins.manifest import FILE
from cockpit.plugins.model import Place

GROUP = "cockpit.plugins"


def package_places() -> Iterator[Place]:
    """One for each entry point; one that leads nowhere has its `problem`."""
    # Imported late: it is a fifth of all that a headless command imports.
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else ""
        folder = _folder(point.module)
        if folder is not None:
            yield Place(point.name, folder, "package", package)
            continue
        told = f"the package {package} names {point.value!r}, and no {FILE} lies there"
        yield Place(point.name, Path(*point.module.split(".")), "package", package, told)


def _folder(module: str) -> Path | None:
    """The folder of a module that has a plugin.toml, by the finders of the import system.

    Only its topmost package is looked for: to find what is inside, Python would import it.
    """
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        bases = [Path(spec.origin).parent] if spec.origin and spec.has_location else []
    else:
        bases = [Path(base) for base in spec.submodule_search_locations]
    for base in bases:
        # `a.b` is the folder a/b, or the file a/b.py in the folder a.
        for folder in (base.joinpath(*rest), base.joinpath(*rest[:-1])):
            if (folder / FILE).is_file():
                return folder
    return None
