"""Who may come in: the authorized_keys of `cockpit serve`, and the host key that it answers with."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from cockpit.errors import CockpitError, UsageError
from cockpit.paths import config_dir, make_private
from cockpit.roles import ROLES, Role
from cockpit.serve.audit import serve_dir

KEY_FILE_MOST = 1 << 20
_NAME = re.compile(r"[^\s\"'#,]{1,64}")


@dataclass(frozen=True)
class Entry:
    """A line of the file that lets somebody in."""

    name: str
    """The comment at its end, else its fingerprint."""
    role: Role
    fingerprint: str
    line: int
    keys: asyncssh.SSHAuthorizedKeys
    """This line alone, with its `from=` and other options."""


@dataclass(frozen=True)
class Keys:
    """The file as it is now."""

    path: Path
    entries: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()
    """Lines that let nobody in, and why."""

    def find(self, key: asyncssh.SSHKey, host: str, address: str) -> Entry | None:
        """The first line that lets this key in from there."""
        for entry in self.entries:
            if entry.keys.validate(key, host, address) is not None:
                return entry
        return None


def keys_path() -> Path:
    """The authorized_keys file of cockpit; that of sshd has no say here."""
    return config_dir() / "serve" / "authorized_keys"


def read_keys(path: Path | None = None) -> Keys:
    """Who is in the file. Raises CockpitError when it cannot be read or trusted."""
    path = path or keys_path()
    try:
        status = path.stat()
        if status.st_uid not in (os.getuid(), 0) or status.st_mode & 0o022:
            raise CockpitError(
                f"{path} can be written by others, so it is not trusted", f"chmod 600 {path}"
            )
        if status.st_size > KEY_FILE_MOST:
            raise CockpitError(f"{path} is larger than {KEY_FILE_MOST >> 20} MiB")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Keys(path)
    except (OSError, UnicodeDecodeError) as error:
        raise CockpitError(f"{path} cannot be read: {error}") from None
    entries: list[Entry] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            entries.append(_entry(line.strip(), number))
        except ValueError as error:
            problems.append(f"{path}, line {number}: {error}")
    return Keys(path, tuple(entries), tuple(problems))


def _entry(line: str, number: int) -> Entry:
    """Raises ValueError in words."""
    try:
        keys = asyncssh.import_authorized_keys(line)
    except ValueError as error:
        raise ValueError(f"this is no public key with options ({error})") from None
    options, key, comment = _parts(line)
    if "cert-authority" in options:
        raise ValueError("certificates are not taken: give each person's own key")
    role = _option(options, "role")
    if role is not None and role not in ROLES:
        raise ValueError(f"there is no role {role!r}: use {', '.join(ROLES)}")
    fingerprint = key.get_fingerprint()
    return Entry(comment or fingerprint, role or ROLES[0], fingerprint, number, keys)


def _parts(line: str) -> tuple[str, asyncssh.SSHKey, str]:
    """Options, key and comment of a line that asyncssh has taken."""
    match = re.search(r"(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-\S+\s+\S+)(.*)$", line)
    if match is None:
        raise ValueError("no public key is in it")
    key = asyncssh.import_public_key(match[1])
    return line[: match.start()].strip(), key, " ".join(match[2].split())


def _option(options: str, name: str) -> str | None:
    found = re.search(rf'(?:^|,){name}="([^"]*)"', options)
    return found[1] if found else None


def add_key(text: str, role: Role, name: str = "", path: Path | None = None) -> Entry:
    """Let a public key in. Raises UsageError for one that is none, or is there already."""
    path = path or keys_path()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "PRIVATE KEY" in text:
        raise UsageError("this is a private key", "Give the public one: its name ends in .pub.")
    if len(lines) != 1:
        raise UsageError("this is no public key", "It is a single line, as in ~/.ssh/id_….pub.")
    try:
        _, key, comment = _parts(lines[0])
    except (ValueError, asyncssh.KeyImportError) as error:
        raise UsageError(f"this is no public key: {error}", "See ~/.ssh/id_….pub.") from None
    name = name or comment or key.get_fingerprint()
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name: {name!r} cannot be a name", "Use one word of 1 to 64 letters.")
    present = read_keys(path)
    for entry in present.entries:
        if entry.fingerprint == key.get_fingerprint():
            raise UsageError(
                f"this key is there already, as {entry.name} with the role {entry.role}",
                f"`cockpit serve keys remove {entry.name}` takes it out.",
            )
        if entry.name == name:
            raise UsageError(f"{name} has a key already", "Choose another --name.")
    public = key.export_public_key("openssh").decode().split()
    line = f'role="{role}" {public[0]} {public[1]} {name}'
    _write(path, [*_lines(path), line])
    return _entry(line, len(_lines(path)))


def remove_key(name: str, path: Path | None = None) -> Entry:
    """Let nobody in with this key any more; by name or fingerprint. Raises UsageError."""
    path = path or keys_path()
    present = read_keys(path)
    for entry in present.entries:
        if name in (entry.name, entry.fingerprint):
            lines = _lines(path)
            del lines[entry.line - 1]
            _write(path, lines)
            return entry
    known = ", ".join(entry.name for entry in present.entries) or "none so far"
    raise UsageError(f"there is no key {name!r}", f"There is: {known}.")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _write(path: Path, lines: Sequence[str]) -> None:
    try:
        make_private(path.parent)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise CockpitError(f"{path} cannot be written: {error.strerror}") from None


def host_key(path: Path | None = None) -> asyncssh.SSHKey:
    """The key that this machine is known by, made on first use. Raises CockpitError."""
    path = path or serve_dir() / "host_key"
    try:
        with contextlib.suppress(FileNotFoundError):
            return asyncssh.read_private_key(path)
        make_private(path.parent)
        key = asyncssh.generate_private_key("ssh-ed25519", "cockpit")
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(key.export_private_key("openssh"))
        # A link and not a rename: of two that start at once the first one's key counts.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
        return asyncssh.read_private_key(path)
    except (OSError, ValueError, asyncssh.KeyImportError) as error:
        raise CockpitError(
            f"the host key {path} cannot be used: {error}",
            "Delete it to have a new one made; whoever knows the old one will be warned.",
        ) from None
