"""A package index in a directory: tiny wheels, made on the spot, that uv and pip take for real ones."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path


class PackageIndex:
    """A PEP 503 index that is read through a `file:` address."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self.address = directory.as_uri()

    def wheel(
        self,
        name: str,
        version: str,
        requires: Sequence[str] = (),
        python: str | None = None,
        content: str = "",
    ) -> Path:
        """Add a version of a distribution with one module of the same name."""
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        lines += [f"Requires-Python: {python}"] if python else []
        files = {
            f"{name}.py": content or f"version = {version!r}\n",
            f"{name}-{version}.dist-info/METADATA": "\n".join(lines) + "\n",
            f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
            "Root-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = f"{name}-{version}.dist-info/RECORD"
        files[record] = "".join(f"{path},,\n" for path in (*files, record))
        path = self._page(name) / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        self._list(name)
        return path

    def source(self, name: str, version: str, build: str) -> Path:
        """Add a source distribution; `build` is the Python that is run instead of building it."""
        files = {
            "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
            f'backend-path = ["."]\n[project]\nname = "{name}"\nversion = "{version}"\n',
            "backend.py": f"def build_wheel(*_, **__):\n    exec({build!r})\n",
        }
        path = self._page(name) / f"{name}-{version}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for file, text in files.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{file}")
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
        self._list(name)
        return path

    def remove(self, name: str, version: str) -> None:
        """As if it had never been there."""
        for path in self._page(name).glob(f"{name}-{version}*"):
            path.unlink()
        self._list(name)

    def _page(self, name: str) -> Path:
        page = self.directory / name
        page.mkdir(exist_ok=True)
        return page

    def _list(self, name: str) -> None:
        links = []
        for path in sorted(self._page(name).iterdir()):
            if path.name != "index.html":
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                links.append(f'<a href="{path.name}#sha256={digest}">{path.name}</a>')
        page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"
        (self._page(name) / "index.html").write_text(page)
