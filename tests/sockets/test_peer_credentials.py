"""Who is at the other end of a connection: real ones, of this user and of another."""

import os
import socket
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import pytest

from sockets.peer_credentials import PeerCredentials, PeerUser, owner_in
from tests.other_users import NOBODY, OtherUser

# Where a server may listen, and how a client on this machine gets there.
_PLACES = {
    "IPv4": (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
    "another address of loopback": (socket.AF_INET, "127.0.0.0", "127.9.8.7"),
    "IPv6": (socket.AF_INET6, "::1", "::1"),
    "IPv4 on a dual stack": (socket.AF_INET6, "::", "127.0.0.1"),
    "IPv6 on a dual stack": (socket.AF_INET6, "::", "::1"),
}


@pytest.fixture
def owners() -> Iterator[PeerCredentials]:
    asked = PeerCredentials()
    yield asked
    asked.close()


@pytest.fixture(params=_PLACES.values(), ids=_PLACES.keys())
def place(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str, int]]:
    """What listens, and the address to it."""
    family, host, client = request.param
    with socket.socket(family) as listening:
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listening.bind((client if host == "127.0.0.0" else host, 0))
        listening.listen()
        yield listening, client, listening.getsockname()[1]


def test_it_works_here(owners: PeerCredentials) -> None:
    assert owners.trouble is None


def test_a_program_of_our_own_is_known(
    owners: PeerCredentials, place: tuple[socket.socket, str, int]
) -> None:
    listening, host, port = place
    with socket.create_connection((host, port)), listening.accept()[0] as accepted:
        assert PeerUser(os.geteuid()) == owners.of(accepted)
        assert owners.of(accepted).is_ours


@pytest.mark.usefixtures("needs_root")
@pytest.mark.gen_test
async def test_another_users_is_known_as_theirs_also_when_it_has_done_writing(
    owners: PeerCredentials, place: tuple[socket.socket, str, int]
) -> None:
    listening, host, port = place
    stranger = await OtherUser.at(host, port)
    with listening.accept()[0] as accepted:
        assert PeerUser(NOBODY) == owners.of(accepted)
        await stranger.shut()
        assert PeerUser(NOBODY) == owners.of(accepted)
        assert not owners.of(accepted).is_ours
    await stranger.end()


@pytest.mark.usefixtures("needs_root")
@pytest.mark.gen_test
async def test_one_who_has_closed_is_nobody_and_above_all_not_root(
    owners: PeerCredentials, place: tuple[socket.socket, str, int]
) -> None:
    listening, host, port = place
    stranger = await OtherUser.at(host, port)
    await stranger.close()
    with listening.accept()[0] as accepted:
        assert PeerUser(None) == owners.of(accepted)
        assert not owners.of(accepted).is_ours
    await stranger.end()


def test_one_of_ours_who_has_closed_is_nobody_either(
    owners: PeerCredentials, place: tuple[socket.socket, str, int]
) -> None:
    listening, host, port = place
    socket.create_connection((host, port)).close()
    with listening.accept()[0] as accepted:
        assert not owners.of(accepted).is_ours


def test_what_listens_at_the_port_of_a_peer_is_not_taken_for_it(owners: PeerCredentials) -> None:
    """The kernel looks among listening sockets when there is no other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.bind(("127.0.0.1", 0))
            name = client.getsockname()
            client.connect(listening.getsockname())
            accepted, _ = listening.accept()
        with accepted, socket.create_server(name):  # the peer is reset, its port another's
            fake = Named(name, listening.getsockname())
            assert PeerUser(None) == owners.of(fake)  # type: ignore[arg-type]


class Named:
    """An accepted connection of which only the names are left."""

    family = socket.AF_INET

    def __init__(self, peer: tuple[str, int], us: tuple[str, int]) -> None:
        self.getpeername = lambda: peer
        self.getsockname = lambda: us


def test_a_question_that_was_not_answered_spoils_no_other(owners: PeerCredentials) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(300):  # more answers than the kernel would keep for us
            fake = Named(("127.0.0.1", 1), listening.getsockname())
            assert PeerUser(None) == owners.of(fake)  # type: ignore[arg-type]
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert owners.of(accepted).is_ours


@pytest.mark.usefixtures("needs_root")
@pytest.mark.gen_test
async def test_at_a_socket_in_the_file_system_the_user_is_known_as_well(
    owners: PeerCredentials,
) -> None:
    # Pytest's own folders are closed to others.
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        os.chmod(folder, 0o755)
        path = f"{folder}/socket"
        listening.bind(path)
        os.chmod(path, 0o666)
        listening.listen()
        stranger = await OtherUser.at(path, 0)
        with listening.accept()[0] as accepted:
            assert PeerUser(NOBODY) == owners.of(accepted)
        await stranger.end()
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(path)
            with listening.accept()[0] as accepted:
                assert PeerUser(os.geteuid()) == owners.of(accepted)


def test_root_may_do_what_we_may_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [True, True] == [PeerUser(uid).is_ours for uid in (1000, 0)]
    assert [False] * 4 == [PeerUser(uid).is_ours for uid in (None, 33, NOBODY, 2**32 - 1)]


def test_nobody_is_too_many_to_be_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert [False, True] == [PeerUser(uid).is_ours for uid in (NOBODY, 0)]


def test_an_answer_that_is_cut_anywhere_names_nobody() -> None:
    ends = b"\1\2\3\4" + bytes(32)
    answer = _answer(ends, state=1, uid=7, inode=9)
    assert 7 == owner_in(answer, ends)
    assert {None} == {owner_in(answer[:cut], ends) for cut in range(len(answer))}


@pytest.mark.parametrize(
    "wrong",
    [{"kind": 2}, {"state": 10}, {"state": 6}, {"state": 2}, {"inode": 0}, {"ends": bytes(36)}],
)
def test_an_answer_about_something_else_names_nobody(wrong: dict[str, int | bytes]) -> None:
    ends = b"\1\2\3\4" + bytes(32)
    assert owner_in(_answer(**{"ends": ends, **wrong}), ends) is None  # type: ignore[arg-type]


def _answer(ends: bytes, *, kind: int = 20, state: int = 1, uid: int = 0, inode: int = 9) -> bytes:
    """As linux/inet_diag.h lays it out."""
    header = (72 + 16).to_bytes(4, "little") + kind.to_bytes(2, "little") + bytes(10)
    numbers = uid.to_bytes(4, "little") + inode.to_bytes(4, "little")
    return header + bytes([2, state, 0, 0]) + ends + bytes(12) + bytes(12) + numbers
