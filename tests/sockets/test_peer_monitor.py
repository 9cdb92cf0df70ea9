"""What tells peers that are gone from those that take nothing, and both from slow ones."""

import os
import socket
from collections.abc import Iterator

import pytest

from app.server import Server
from sockets.peer_progress import PeerProgress, PeerStatus, PeerTimeouts, peer_status
from tests.readers import Connection

TIMEOUTS = PeerTimeouts(dead_seconds=60, stall_seconds=180)


def told(*, silent: float = 0.0, unanswered: bool = False, taken: int = 0) -> PeerStatus:
    return PeerStatus(is_unanswered=unanswered, silent_seconds=silent, taken=taken)


def verdicts(looks: list[tuple[float, PeerStatus | None, int, bool]]) -> list[str | None]:
    progress = PeerProgress()
    return [
        progress.reason_to_close(time, TIMEOUTS, status=said, sent=sent, waits=waits)
        for time, said, sent, waits in looks
    ]


@pytest.mark.parametrize("tcp", [True, False])
def test_who_takes_nothing_is_cut_after_the_time_it_has_and_not_before(tcp: bool) -> None:
    looks = [(time, told() if tcp else None, 0, True) for time in (0.0, 10.0, 179.9, 180.0)]

    assert [None, None, None, "accepts no data"] == verdicts(looks)


@pytest.mark.parametrize("tcp", [True, False])
def test_who_takes_a_byte_has_all_the_time_again(tcp: bool) -> None:
    looks = [
        (time, told(taken=taken) if tcp else None, 0 if tcp else taken, True)
        for time, taken in ((0.0, 5), (170.0, 5), (179.0, 6), (350.0, 6), (359.0, 6))
    ]

    assert [None, None, None, None, "accepts no data"] == verdicts(looks)


def test_who_has_taken_all_waits_for_nothing() -> None:
    looks = [
        (time, told(), 0, waits) for time, waits in ((0.0, True), (170.0, False), (200.0, True))
    ]

    assert [None, None, None] == verdicts(looks)


def test_who_acknowledges_nothing_is_gone() -> None:
    looks = [
        (time, told(silent=time, unanswered=True), 0, False) for time in (10.0, 50.0, 59.9, 60.0)
    ]

    assert [None, None, None, "is gone"] == verdicts(looks)


def test_a_probe_that_was_sent_a_moment_ago_is_not_yet_unanswered() -> None:
    # The kernel asks at ever greater distances: 51 s, 102 s, then every two minutes.
    looks = [
        (time, told(silent=silent, unanswered=unanswered), 0, True)
        for time, silent, unanswered in ((0.0, 90, False), (10.0, 102, True), (20.0, 10, False))
    ]

    assert [None, None, None] == verdicts(looks)


def test_who_was_sent_nothing_may_be_silent() -> None:
    looks = [(time, told(silent=time), 0, False) for time in (50.0, 100.0, 500.0)]

    assert [None, None, None] == verdicts(looks)


# What the kernel says


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        with peer, accepted:
            yield accepted, peer


def test_the_kernel_counts_what_a_peer_has_taken(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, peer = pair
    before = peer_status(ours)
    ours.sendall(b"x" * 1000)
    assert 1000 == len(peer.recv(1000, socket.MSG_WAITALL))

    after = peer_status(ours)

    assert before is not None
    assert after is not None
    assert 1000 == after.taken - before.taken


def test_of_a_socket_in_the_file_system_it_says_nothing() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        assert peer_status(ours) is None


# Tokens do not wait for acknowledgements


def servers_end(connection: Connection) -> socket.socket:
    """The other end of a connection to a server in this process."""
    client = connection.writer.get_extra_info("sockname")
    for name in os.listdir("/proc/self/fd"):
        try:
            found = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # no socket, or the listing's own
            continue
        try:
            if found.getpeername() == client:
                return found
        except OSError:
            pass
        found.close()
    raise AssertionError("not connected")


@pytest.mark.gen_test
async def test_no_request_on_a_kept_connection_waits_for_acknowledgements(headrace: Server) -> None:
    connection = await Connection.open(headrace.url)
    seen = []

    for _request in range(4):
        await connection.call("GET", "/api/v1/models")
        with servers_end(connection) as theirs:
            seen.append(theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    assert [1, 1, 1, 1] == [bool(each) for each in seen]
