"""`cockpit plugins new`: a plugin that runs, made from the template of a language."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from cockpit.errors import CockpitError, UsageError

LANGUAGES = ("python", "bash", "cuda")
FILLED_IN = ("plugin.toml", "README.md")
"""Files in which `$name` and `$title` stand for the plugin's; the others are copied as they are."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_TEMPLATES = Path(__file__).parent / "_templates" / "plugin"


def make_plugin(name: str, language: str, root: Path) -> tuple[Path, ...]:
    """Make the folder `root/name` and return its files. Nothing that is there is ever touched.

    Raises UsageError for a name that cannot be one or a folder that exists, CockpitError if the
    files cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a plugin",
            "Use up to 40 small letters, digits, - and _, a letter first.",
        )
    folder = root.expanduser().absolute() / name
    words = {"name": name, "title": re.sub("[-_]+", " ", name).strip().capitalize()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        return tuple(_make_file(source, folder, words) for source in _files(language))
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} is there already", "Choose another name, or another --path."
        ) from None
    except OSError as error:
        raise CockpitError(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from None


def _files(language: str) -> list[Path]:
    return sorted(path for path in (_TEMPLATES / language).iterdir() if path.is_file())


def _make_file(source: Path, folder: Path, words: dict[str, str]) -> Path:
    text = source.read_text(encoding="utf-8")
    if source.name in FILLED_IN:
        text = Template(text).substitute(words)
    target = folder / source.name
    with target.open("x", encoding="utf-8") as file:
        file.write(text)
    return target
