"""The listening sockets: what connections inherit, and what a supervisor hands down."""

import functools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from settings import Settings
from sockets.listening import CannotListen, listen, url_of

_ROOT = Path(__file__).parents[2]


def _connection(listening: socket.socket) -> socket.socket:
    """The server's side of a connection."""
    with socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
    return accepted


def test_connections_inherit_what_notices_dead_and_idle_peers() -> None:
    (listening,) = listen(Settings(port=0), {})
    listening.setblocking(True)
    with listening, _connection(listening) as accepted:
        tcp = functools.partial(accepted.getsockopt, socket.IPPROTO_TCP)
        every = tcp(socket.TCP_KEEPINTVL)
        assert 60 == tcp(socket.TCP_KEEPIDLE) + every * tcp(socket.TCP_KEEPCNT)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        # It would count the seconds of who reads slowly.
        assert 0 == tcp(socket.TCP_USER_TIMEOUT)
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        # The kernel doubles what is asked for, for its own book-keeping.
        assert 2 * 32 * 1024 == accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def test_a_socket_in_the_file_system_is_for_user_and_group_and_replaces_a_dead_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "headrace.sock"
    for _ in range(2):  # the second finds what the first has left
        (listening,) = listen(Settings(host=f"unix:{path}"), {})
        with listening:
            assert f"unix:{path}" == url_of(listening)
            assert 0o660 == path.stat().st_mode & 0o777
            with pytest.raises(CannotListen, match="another process listens there"):
                listen(Settings(host=f"unix:{path}"), {})


@pytest.mark.parametrize("place", ["", "missing/headrace.sock", "x" * 200])
def test_a_place_that_cannot_be_listened_at_is_named(tmp_path: Path, place: str) -> None:
    where = f"unix:{tmp_path}/{place}"
    with pytest.raises(CannotListen, match=re.escape(f"cannot listen on {where}: ")):
        listen(Settings(host=where), {})


def test_a_file_is_not_taken_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("kept")
    with pytest.raises(CannotListen, match="not a socket"):
        listen(Settings(host=f"unix:{path}"), {})
    assert "kept" == path.read_text()


def test_two_share_a_port_if_told_to() -> None:
    (first,) = listen(Settings(port=0, reuse_port=True), {})
    port = first.getsockname()[1]
    with first:
        (second,) = listen(Settings(port=port, reuse_port=True), {})
        with second:
            assert first.getsockname() == second.getsockname()


# Stands in for the supervisor: the descriptor's number and the process id are what it would set.
_CHILD = """
import os
from sockets.listening import CannotListen, listen, url_of
from settings import Settings
os.environ["LISTEN_PID"] = os.environ["LISTEN_PID"] or str(os.getpid())
try:
    print(*map(url_of, listen(Settings(port=0))))
except CannotListen as error:
    print(error)
"""


def _said_by_child(*handed_down: socket.socket, pid: str = "", **environ: str) -> str:
    """What a process prints that was handed these sockets, from descriptor 3 on."""

    def place() -> None:
        for place, each in enumerate(copies, 3):
            os.dup2(each, place)

    copies = [os.dup(each.fileno()) for each in handed_down]
    environ = {"LISTEN_PID": pid, "LISTEN_FDS": str(len(copies)), **environ}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            cwd=_ROOT,
            env={"PATH": os.environ["PATH"], **environ},
            preexec_fn=place,
            pass_fds=range(3, 3 + len(copies)),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    finally:
        for copy in copies:
            os.close(copy)
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["headrace", "headrace.socket"])
def test_inherited_sockets_are_taken_by_their_name(name: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as second,
    ):
        said = _said_by_child(first, second, LISTEN_FDNAMES=f"{name}:headrace")
        assert f"{url_of(first)} {url_of(second)}" == said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("metrics:headrace", "'metrics'"),
        ("headrace:metrics", "'metrics'"),
        ("web:headrace-web.socket", "'headrace-web.socket', 'web'"),
        ("connection:connection", "'connection'"),
        (":unknown", "'unknown'"),
        ("Headrace:headrace ", "'Headrace', 'headrace '"),
        ("a\nb:headrace", r"'a\nb'"),
    ],
)
def test_sockets_under_other_names_are_refused_by_their_names(names: str, told: str) -> None:
    with _loopback() as one, _loopback() as two:
        said = _said_by_child(one, two, LISTEN_FDNAMES=names)
    assert f"sockets with other names were passed on: {told}; " in said
    assert "FileDescriptorName=headrace" in said


def _loopback() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def _datagram() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    return bound


def _seqpacket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _netlink() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)


def _bound_only() -> socket.socket:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


def _connected() -> socket.socket:
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (_datagram, "is not an IP or UNIX stream socket, but"),
        (_seqpacket, "is not an IP or UNIX stream socket, but"),
        (_netlink, "is not an IP or UNIX stream socket, but"),
        (_bound_only, "does not listen: the server's socket unit needs Accept=no"),
        (_connected, "does not listen"),
    ],
)
def test_what_nobody_can_be_accepted_from_is_refused_by_its_place(
    make: Callable[[], socket.socket], problem: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, make() as wrong:
        said = _said_by_child(ours, wrong, LISTEN_FDNAMES="headrace:headrace")
    assert said.startswith(f"LISTEN_FDS: descriptor 4 {problem}")


@pytest.mark.slow
def test_sockets_for_another_process_are_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        said = _said_by_child(ours, pid="1", LISTEN_FDNAMES="headrace")
        assert said.startswith("http://127.0.0.1:")
        assert url_of(ours) != said


@pytest.mark.slow
def test_an_inherited_socket_that_is_open_to_the_world_is_refused_without_keys() -> None:
    with socket.create_server(("0.0.0.0", 0)) as ours:
        assert "auth.mode" in _said_by_child(ours, LISTEN_FDNAMES="headrace")


def test_a_supervisor_that_names_no_socket_means_it_for_us() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        assert url_of(ours) == _said_by_child(ours)


@pytest.mark.slow
@pytest.mark.parametrize(
    "environ",
    [
        {"LISTEN_FDNAMES": "headrace:headrace"},  # more names than sockets
        {"LISTEN_FDS": "2"},  # more than are open
        {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "headrace"},
        {"LISTEN_FDS": "some"},
        {"LISTEN_FDS": "-1"},
        {"LISTEN_FDS": "1000000000"},
    ],
)
def test_a_supervisor_that_is_confused_is_told_in_one_line(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        said = _said_by_child(ours, **environ)
        assert 1 == len(said.splitlines())
        assert "LISTEN_FDS" in said


@pytest.mark.parametrize("seconds", [4, 4.05, 3_601])
def test_who_is_gone_is_so_for_longer_than_a_heartbeat_and_no_longer_than_the_kernel_counts(
    seconds: float,
) -> None:
    # Between two signs of life nothing is on its way that could be acknowledged.
    with pytest.raises(ValueError, match="reader_dead_seconds"):
        Settings(port=0, relay={"heartbeat_seconds": 4, "reader_dead_seconds": seconds})
