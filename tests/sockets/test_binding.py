"""Every address that a host has, on one port; and what a machine without IPv6 makes of it."""

import errno
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import sockets.binding
from settings import Settings
from sockets.binding import bind
from sockets.listening import CannotListen, listen, url_of

KEYS: dict[str, Any] = {"auth": {"mode": "keys", "secret": "x" * 32}}


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with two addresses, `both`: not every machine has one."""

    def lookup(host: str, *rest: Any, **named: Any) -> list[Any]:
        hosts = ("127.0.0.1", "::1", "127.0.0.1") if host == "both" else (host,)
        return [each for host in hosts for each in really(host, *rest, **named)]

    really = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def _is_reached(listening: list[socket.socket], address: str) -> bool:
    """Whether one of the sockets accepts who comes to their port, and not another program's."""
    (port,) = {each.getsockname()[1] for each in listening}
    try:
        client = socket.create_connection((address, port), timeout=5)
    except ConnectionRefusedError:
        return False
    with client:
        ready, _, _ = select.select(listening, [], [], 0)
        for each in ready:
            each.accept()[0].close()
        return bool(ready)


def _listening(closing: ExitStack, host: str, **settings: Any) -> list[socket.socket]:
    found = listen(Settings(**{"host": host, "port": 0, **KEYS, **settings}), {})
    for each in found:
        closing.enter_context(each)
    return found


@pytest.mark.parametrize(
    ("host", "ipv4", "ipv6"),
    [
        ("::", True, True),
        ("[::]", True, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", True, False),
        ("::1", False, True),
        ("[::1]", False, True),
        ("::ffff:127.0.0.1", True, False),
        ("both", True, True),
        ("*", True, True),
    ],
)
def test_a_host_is_found_at_all_of_its_addresses(
    closing: ExitStack, host: str, ipv4: bool, ipv6: bool
) -> None:
    found = _listening(closing, host)

    assert (ipv4, ipv6) == (_is_reached(found, "127.0.0.1"), _is_reached(found, "::1"))


def test_of_both_kinds_one_socket_accepts(closing: ExitStack) -> None:
    (listening,) = _listening(closing, "::")
    listening.setblocking(True)
    port = listening.getsockname()[1]
    assert f"http://[::]:{port}" == url_of(listening)

    for address, seen in (("127.0.0.1", "::ffff:127.0.0.1"), ("::1", "::1")):
        with socket.create_connection((address, port)):
            accepted, peer = listening.accept()
            accepted.close()
        assert seen == peer[0]


def test_several_processes_may_share_both_kinds(closing: ExitStack) -> None:
    (first,) = _listening(closing, "::", reuse_port=True)
    port = first.getsockname()[1]

    (second,) = _listening(closing, "::", port=port, reuse_port=True)

    assert first.getsockname() == second.getsockname()


@pytest.mark.parametrize("other", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_in_either_kind_is_taken(closing: ExitStack, other: str) -> None:
    (taken,) = _listening(closing, other)
    port = taken.getsockname()[1]

    for host, where in (("::", f"[::]:{port}"), ("both", f"both:{port}")):
        with pytest.raises(CannotListen, match="Address already in use") as caught:
            _listening(closing, host, port=port)
        assert f"cannot listen on {where}: " in str(caught.value)


def test_one_free_port_is_found_for_all_addresses(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one that the kernel gives is taken at the other address."""
    given = []

    def taken_once(family: Any, address: Any, *rest: bool) -> socket.socket:
        if family == socket.AF_INET6 and not given:
            given.append(address)
            raise OSError(errno.EADDRINUSE, "taken")
        return opened(family, address, *rest)

    opened = sockets.binding._open
    monkeypatch.setattr(sockets.binding, "_open", taken_once)

    found = _listening(closing, "both")

    assert given
    assert 2 == len(found)
    assert 1 == len({each.getsockname()[1] for each in found})


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_machine_without_ipv6_listens_on_what_it_has_or_says_so(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def without(family: Any, *rest: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, "no")
        return opened(family, *rest)

    opened = sockets.binding._open
    monkeypatch.setattr(sockets.binding, "_open", without)

    for host, shown in (("::", "http://0.0.0.0:"), ("both", "http://127.0.0.1:")):
        (listening,) = _listening(closing, host)
        assert url_of(listening).startswith(shown)
    with pytest.raises(CannotListen, match=r"listen on \[::1\]:0: this machine has no (IPv6|such)"):
        _listening(closing, "::1")


def test_an_address_of_another_machine_is_said_to_be_one(closing: ExitStack) -> None:
    for host in ("192.0.2.1", "2001:db8::1"):
        with pytest.raises(CannotListen, match="this machine has no such address"):
            _listening(closing, host)


def test_what_is_only_bound_is_dealt_no_connection(closing: ExitStack) -> None:
    (served,) = _listening(closing, "127.0.0.1", reuse_port=True)
    port = served.getsockname()[1]

    (trial,) = bind("127.0.0.1", port, reuse_port=True, listens=False)
    closing.enter_context(trial)

    assert all(_is_reached([served], "127.0.0.1") for _ in range(20))
