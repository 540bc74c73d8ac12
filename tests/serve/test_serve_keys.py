"""Whose keys are let in: added, listed, taken out, and what is no key is told by its line."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.errors import CockpitError, UsageError
from cockpit.roles import ROLES, Role
from cockpit.serve.keys import add_key, host_key, read_keys, remove_key

POOL = [asyncssh.generate_private_key("ssh-ed25519", f"key{number}") for number in range(4)]
POOL.append(asyncssh.generate_private_key("ecdsa-sha2-nistp256", "curve"))


def public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key("openssh").decode()


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(0, len(POOL) - 1), st.sampled_from(ROLES)), max_size=12
    )
)
def test_the_file_holds_who_was_added_and_not_taken_out(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, Role]]
) -> None:
    path = tmp_path_factory.mktemp("keys") / "serve" / "authorized_keys"
    path.parent.mkdir(mode=0o700)
    path.write_text("# mine\n\n")
    path.chmod(0o600)
    expected: dict[str, Role] = {}
    for adds, number, role in steps:
        name = POOL[number].get_comment() or ""
        if adds and name not in expected:
            add_key(public(POOL[number]), role, path=path)
            expected[name] = role
        elif adds:
            with pytest.raises(UsageError, match="there already"):
                add_key(public(POOL[number]), role, path=path)
        elif name in expected:
            remove_key(name, path)
            del expected[name]
        else:
            with pytest.raises(UsageError, match="there is no key"):
                remove_key(name, path)
    found = read_keys(path)
    assert {entry.name: entry.role for entry in found.entries} == expected
    for key in POOL:
        entry = found.find(key.convert_to_public(), "127.0.0.1", "127.0.0.1")
        assert (entry is not None) == ((key.get_comment() or "") in expected)
    assert path.read_text().startswith("# mine\n") and path.stat().st_mode & 0o077 == 0


def test_lines_that_let_nobody_in_are_told_and_the_others_count(tmp_path: Path) -> None:
    path = tmp_path / "authorized_keys"
    good = public(POOL[0]).strip()
    lines = [
        good,
        "ssh-ed25519 AAAAnothing broken",
        f'role="emperor" {public(POOL[1]).strip()}',
        f"cert-authority {public(POOL[2]).strip()}",
        f'from="10.0.0.0/8",role="admin" {public(POOL[3]).strip()}',
    ]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    found = read_keys(path)
    assert [(entry.name, entry.role) for entry in found.entries] == [
        ("key0", "viewer"),
        ("key3", "admin"),
    ]
    told = "\n".join(found.problems)
    assert len(found.problems) == 3 and "line 2" in told
    assert "line 3: there is no role 'emperor'" in told and "line 4: certificates" in told
    key = POOL[3].convert_to_public()
    assert found.find(key, "192.0.2.1", "192.0.2.1") is None
    assert found.find(key, "10.1.2.3", "10.1.2.3") is not None


def test_a_file_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "authorized_keys"
    path.write_text(public(POOL[0]))
    path.chmod(0o666)
    with pytest.raises(CockpitError, match="written by others"):
        read_keys(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no public key"),
        ("hello there", "no public key"),
        (POOL[0].export_private_key("openssh").decode(), "private key"),
        (public(POOL[0]) + public(POOL[1]), "no public key"),
    ],
)
def test_what_is_no_public_key_is_not_added(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        add_key(text, "viewer", path=tmp_path / "keys")
    assert not (tmp_path / "keys").exists()


def test_a_name_is_one_word_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for name in ("two words", 'quo"te', "#hash", "x" * 65):
        with pytest.raises(UsageError, match="cannot be a name"):
            add_key(public(POOL[0]), "viewer", name, path)
    add_key(public(POOL[0]), "viewer", "vera", path)
    with pytest.raises(UsageError, match="has a key already"):
        add_key(public(POOL[1]), "viewer", "vera", path)


def test_the_host_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "serve" / "host_key"
    first = host_key(path)
    assert host_key(path).get_fingerprint() == first.get_fingerprint()
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in path.parent.iterdir()] == ["host_key"]
    path.write_text("nonsense")
    with pytest.raises(CockpitError, match="cannot be used"):
        host_key(path)
