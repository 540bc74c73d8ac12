"""Who is let in and who is trusted: host keys, jumps, certificates, passphrases, as OpenSSH has them."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from ssh_net import Net, Person
from sshd import Sshd, key

from cockpit.errors import BoxError, UsageError
from cockpit.hosts import Target, split_target

Fails = Callable[[Awaitable[object]], Awaitable[BoxError]]


async def test_an_unknown_key_is_shown_and_asked_once_and_then_known_to_openssh_too(
    net: Net,
) -> None:
    server = net.server(known=False)
    person = Person("yes")
    assert (await net.box(ask=person).connect()).gpu_count == 10
    [question] = person.asked
    printed = _output("ssh-keygen", "-lf", str(server.host_key)).split()[1]
    assert question.kind == "trust" and printed in question.detail
    assert "gpubox" in question.text
    again = Person()
    await net.box(ask=again).connect()
    assert again.asked == []
    strict = ("-F", str(net.config), "-o", "StrictHostKeyChecking=yes")
    assert _output("ssh", *strict, "gpubox", "echo in") == "in\n"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("answer", ["no", "", "y"])
async def test_without_a_clear_yes_nothing_is_trusted_or_written(
    net: Net, fails: Fails, answer: str
) -> None:
    net.server(known=False)
    error = await fails(net.box(ask=Person(answer)).connect())
    assert "is not known" in error.message and "SHA256:" in error.message
    assert not (net.directory / "known_hosts").exists()


async def test_a_changed_key_is_refused_without_asking(net: Net, fails: Fails) -> None:
    server = net.server()
    await net.box().connect()
    server.stop()
    for path in (server.host_key, server.host_key.with_suffix(".pub")):
        path.unlink()
    key(server.host_key)
    server.start()
    person = Person("yes", "yes")
    error = await fails(net.box(ask=person).connect())
    assert "CHANGED" in error.message and "ssh-keygen -R" in error.advice
    assert person.asked == []


async def test_a_key_that_the_box_does_not_know_is_told_as_such(net: Net, fails: Fails) -> None:
    server = net.server()
    (server.home / "authorized_keys").write_text("")
    error = await fails(net.box().connect())
    assert "let none of your keys in" in error.message


async def test_a_key_with_a_passphrase_asks_for_it(net: Net) -> None:
    server = net.server()
    secret = key(net.directory / "secret", passphrase="open sesame")
    public = secret.with_suffix(".pub").read_text()
    (server.home / "authorized_keys").write_text(public)
    net.config.write_text(server.config_lines().replace(str(server.client_key), str(secret)))
    person = Person("open sesame")
    assert (await net.box(ask=person).connect()).gpu_count == 10
    assert [question.kind for question in person.asked] == ["secret"]
    assert str(secret) in person.asked[0].text


async def test_a_jump_host_of_ssh_config_is_gone_through(net: Net) -> None:
    jump = net.server("jump")
    inner = net.server("inner")
    net.config.write_text(jump.config_lines() + inner.config_lines("ProxyJump jump"))
    assert (await net.box("inner").connect()).gpu_count == 10
    assert "Accepted publickey" in (jump.home / "sshd.log").read_text()
    assert not (jump.home / "state").exists()


async def test_an_unknown_jump_host_is_asked_about_by_its_own_name(net: Net) -> None:
    jump = net.server("jump", known=False)
    inner = net.server("inner")
    net.config.write_text(jump.config_lines() + inner.config_lines("ProxyJump jump"))
    person = Person("yes")
    await net.box("inner", ask=person).connect()
    assert [question.host for question in person.asked] == ["jump"]


async def test_a_certificate_of_a_trusted_authority_lets_in_and_vouches_for_the_host(
    net: Net,
) -> None:
    server = _certified(net, key(net.directory / "authority"))
    assert (await net.box().connect()).gpu_count == 10
    assert "ED25519-CERT" in (server.home / "sshd.log").read_text()


def _certified(net: Net, authority: Path) -> Sshd:
    server = Sshd(
        net.directory,
        extra=(
            f"TrustedUserCAKeys {authority}.pub",
            f"HostCertificate {net.directory}/gpubox/host_key-cert.pub",
        ),
    )
    (server.home / "authorized_keys").write_text("")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test"]
    host = ["-h", "-n", "127.0.0.1", f"{server.host_key}.pub"]
    user = ["-n", getpass.getuser(), f"{server.client_key}.pub"]
    for what in (host, user):
        subprocess.run([*sign, *what], check=True, stdin=subprocess.DEVNULL)
    authority_line = authority.with_suffix(".pub").read_text()
    (net.directory / "known_hosts").write_text(f"@cert-authority * {authority_line}")
    net.servers.append(server.start())
    net.add(server.config_lines(f"CertificateFile {server.client_key}-cert.pub"))
    return server


async def test_include_and_match_of_ssh_config_are_followed(net: Net) -> None:
    server = net.server()
    included = net.directory / "included"
    included.write_text(server.config_lines().replace("Host gpubox", "Match host box-*"))
    net.config.write_text(f"Include {included}\n")
    assert (await net.box("box-7").connect()).gpu_count == 10


async def test_nobody_there_and_no_such_host_are_told_apart(net: Net, fails: Fails) -> None:
    server = net.server()
    server.stop()
    assert "refused" in (await fails(net.box().connect())).message
    assert "there is no host" in (await fails(net.box("nowhere.invalid").connect())).message


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("box", Target("box")),
        ("me@box:2222", Target("box", "me", 2222)),
        ("me@[fe80::1]:22", Target("fe80::1", "me", 22)),
        ("fe80::1", Target("fe80::1")),
    ],
)
def test_a_target_has_a_host_and_perhaps_a_user_and_a_port(text: str, target: Target) -> None:
    assert split_target(text) == target


@pytest.mark.parametrize("text", ["", "@box", "-oProxyCommand=evil", "a b", "box:0", "box:ssh"])
def test_a_target_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        split_target(text)
