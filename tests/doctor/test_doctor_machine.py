"""What the doctor says of the machine, and of who else is on it."""

import errno
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doctor import local_programs, machine
from settings import Settings
from sockets import peer_credentials
from tests.doctor.examining import run_doctor
from tests.launching import Launcher
from tests.readers import call
from tests.serving import Serving


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    return {"url": f"sqlite:///{tmp_path}/data/headrace.db"}


def test_too_few_files_are_told_with_the_number_that_would_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))

    found, *_ = machine.limits(Settings())

    assert "warn" == found.severity
    assert "LimitNOFILE=12160" in found.hint  # for 10,000 connections and 2,000 answers
    assert "would accept 2,048 connections" in found.words


@pytest.mark.parametrize(("descriptors", "severity"), [(1659, "warn"), (1660, "ok")])
@pytest.mark.gen_test
async def test_files_are_enough_for_the_doctor_where_they_are_for_the_server(
    monkeypatch: pytest.MonkeyPatch, serve: Serving, descriptors: int, severity: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    few = {"limits": {"connections": 1000, "answers": 2000}, "upstream": {"max_connections": 500}}

    found, *_ = machine.limits(Settings(**few))
    server = await serve.start(**few)

    assert severity == found.severity
    assert (severity == "ok") == (server.acceptor.max_connections == 1000)


def test_a_short_queue_for_connections_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "somaxconn").write_text("128\n")
    monkeypatch.setattr(machine, "_SOMAXCONN", tmp_path / "somaxconn")

    *_, found = machine.limits(Settings())

    assert ("warn", "sysctl net.core.somaxconn=4096") == (found.severity, found.hint)


@pytest.mark.slow
@pytest.mark.parametrize(("taken", "family"), [("127.0.0.1", "AF_INET"), ("::1", "AF_INET6")])
@pytest.mark.gen_test
async def test_a_port_of_both_kinds_is_looked_at_as_both(
    storage: dict[str, str], taken: str, family: str
) -> None:
    auth = {"mode": "keys", "secret": "x" * 32}
    with socket.create_server((taken, 0), family=getattr(socket, family)) as other:
        port = other.getsockname()[1]
        _, said = await run_doctor(host="::", port=port, storage=storage, auth=auth)
    assert f"wrong  port: [::]:{port} is used, and not by a Headrace" in said

    _, said = await run_doctor(host="::", port=port, storage=storage, auth=auth)
    assert f"ok     port: [::]:{port} is free" in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_unix_socket_is_looked_at_like_a_port(
    launcher: Launcher, tmp_path: Path, storage: dict[str, str]
) -> None:
    host = f"unix:{tmp_path}/h.sock"
    _, said = await run_doctor(host=host, storage=storage)
    assert f"ok     port: {tmp_path}/h.sock is free" in said

    launcher.settings.write_text(f'host = "{host}"')
    await launcher.serve()
    _, said = await run_doctor(host=host, storage=storage)
    assert "is used by a Headrace that responds" in said

    fine, said = await run_doctor(host="unix:/nowhere/h.sock", storage=storage)
    assert not fine
    assert "RuntimeDirectory=" in said


_TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: {} {} {} 00000000:00000000 00:00000000 00000000     0
"""


@pytest.mark.parametrize(
    ("local", "state", "found"),
    [
        ("00000000:0050", "0A", [80]),
        ("0100000A:01BB", "0A", [443]),
        ("00000000000000000000000000000000:0050", "0A", [80]),
        ("0100007F:0050", "0A", []),
        ("00000000000000000000000001000000:01BB", "0A", []),
        ("0000000000000000FFFF00000100007F:01BB", "0A", []),  # ::ffff:127.0.0.1
        ("00000000:0050", "01", []),
        ("00000000:1F90", "0A", []),
    ],
)
def test_who_listens_to_the_world_is_found(local: str, state: str, found: list[int]) -> None:
    table = _TABLE.format(local, "00000000:0000", state)
    assert found == local_programs.publicly_bound_ports(iter([table]))


@pytest.mark.gen_test
async def test_a_proxy_beside_a_server_without_keys_is_looked_at(
    storage: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "tcp"
    table.write_text(_TABLE.format("00000000:0050", "00000000:0000", "0A"))
    monkeypatch.setattr(local_programs, "_TABLES", (table, tmp_path / "missing"))
    said_of_port = (
        'warn   auth.mode "none": a program on this machine listens to the network on port 80'
    )

    _, without = await run_doctor(storage=storage)
    _, with_keys = await run_doctor(storage=storage, auth={"mode": "keys", "secret": "s" * 32})

    assert said_of_port in without
    assert "auth.mode" not in with_keys


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        (0, "warn   {}: this user is root"),
        (65_534, "warn   {}: this user is nobody"),
        (1000, "ok     {}: "),
    ],
)
@pytest.mark.gen_test
async def test_who_shares_their_user_with_proxies_is_told_so(
    storage: dict[str, str], monkeypatch: pytest.MonkeyPatch, uid: int, said: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(local_programs, "_TABLES", ())
    _, lines = await run_doctor(storage=storage)
    assert said.format('auth.mode "none"') in lines


@pytest.mark.gen_test
async def test_where_the_kernel_may_not_be_asked_everybody_is_refused_and_that_is_wrong(
    storage: dict[str, str],
    serve: Serving,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str, str], None],
) -> None:
    family = socket.AF_NETLINK
    real = socket.socket

    def without_netlink(*given: Any, **named: Any) -> socket.socket:
        if given and given[0] == family:  # as RestrictAddressFamilies= has it
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(*given, **named)

    monkeypatch.setattr(peer_credentials.socket, "socket", without_netlink)
    expect_log("headrace", "refuses everybody: the kernel may not be asked: Address family")

    fine, lines = await run_doctor(storage=storage)
    server = await serve.start()
    refused = await call(server.url, "GET", "/api/v1/models")

    assert not fine
    assert "AF_NETLINK in the unit's RestrictAddressFamilies" in lines
    assert (403, "foreign_user") == (refused.status, refused.body["error"]["code"])
