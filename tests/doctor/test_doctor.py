"""`server.py doctor` as an operator runs it: what it says, and its exit status."""

import asyncio
import errno
import os
import re
import resource
import socket
import sqlite3
import ssl
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from doctor import machine, neighbours
from doctor.examination import examine
from doctor.store import _findings
from settings import Settings
from sockets import peer_credentials
from storage.sqlite.tables import MIGRATIONS
from storage.values import StoreReport
from tests.launching import Launcher
from tests.mongod import Mongod
from tests.readers import call
from tests.serving import Serving
from tests.storage.filled import damaged, filled
from tests.storage.raw import leave_first_stage
from tests.upstreams import ScriptedUpstream


async def _said(ask: bool = False, **settings: Any) -> tuple[bool, str]:
    """Whether nothing is wrong, and all that was said."""
    lines: list[str] = []
    fine = await examine(Settings(**{"port": 0, **settings}), ask=ask, say=lines.append)
    return fine, "\n".join(lines)


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    return {"url": f"sqlite:///{tmp_path}/data/headrace.db"}


# As a process


@pytest.mark.gen_test
async def test_a_fresh_checkout_is_fine_and_nothing_is_made(launcher: Launcher) -> None:
    process = await launcher.start("doctor", HEADRACE_PORT="0")
    out, err = await process.communicate()

    assert (0, b"") == (process.returncode, err)
    assert out.endswith(b"Nothing is wrong.\n")
    assert not (launcher.folder / "data").exists()


@pytest.mark.gen_test
async def test_a_running_server_is_known_and_not_disturbed(launcher: Launcher) -> None:
    launcher.settings.write_text("port = 0\n[metrics]\nport = 0\n")
    serving, url = await launcher.serve()
    log = launcher.log(serving)
    beside = log.split("metrics at ")[1].partition("/metrics")[0].rpartition(":")[2]
    port = url.rpartition(":")[2]
    process = await launcher.start(
        "doctor",
        HEADRACE_PORT=port,
        HEADRACE_METRICS__PORT=beside,
        HEADRACE_METRICS__HOST="127.0.0.1",
    )
    out, _ = await process.communicate()

    said = out.decode()
    assert 0 == process.returncode, said
    assert f"port: 127.0.0.1:{port} is taken, by a Headrace that answers" in said
    assert f"metrics.port: 127.0.0.1:{beside} is taken, by a Headrace that answers" in said
    assert f"process {serving.pid} uses it" in said


@pytest.mark.gen_test
async def test_what_is_wrong_is_told_with_what_to_do_and_exit_status_1(
    launcher: Launcher, upstream: ScriptedUpstream
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        launcher.settings.write_text(
            f"port = {port}\n[storage]\n"
            'url = "mongodb://u:canary@127.0.0.1:9/h?serverSelectionTimeoutMS=100"\n'
            '[providers.openai]\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "canary"\n'
        )
        process = await launcher.start("--config", str(launcher.settings), "doctor", "--ask")
        out, err = await process.communicate()

    said = out.decode()
    assert (1, b"") == (process.returncode, err)
    assert "canary" not in said
    assert said.endswith("3 things are wrong.\n")
    for about in ("port", "storage", "openai"):
        assert f"wrong  {about}: " in said
    assert 3 == len(re.findall(r"^wrong .*\n       -> ", said, re.MULTILINE))


@pytest.mark.gen_test
async def test_a_wrong_setting_is_named(launcher: Launcher) -> None:
    said = await launcher.refused("doctor", HEADRACE_PROT="1")

    assert "HEADRACE_PROT" in said


# Providers


def _provider(upstream: ScriptedUpstream, **more: Any) -> dict[str, Any]:
    return {"openai": {"base_url": f"{upstream.url}/v1", **more}}


@pytest.mark.gen_test
async def test_a_provider_is_asked_only_on_request(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    fine, said = await _said(storage=storage, providers=_provider(upstream))
    assert (True, []) == (fine, upstream.requests)
    assert "reached in" in said

    upstream.tokens("Hi")
    upstream.finish("length")
    fine, said = await _said(ask=True, storage=storage, providers=_provider(upstream))

    assert fine
    assert "gpt-4o-mini answered in" in said
    assert 1 == upstream.requests[0].json["max_tokens"]


@pytest.mark.gen_test
async def test_a_key_that_is_refused_is_told_without_it(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    upstream.fail(401, {"error": {"code": "invalid_api_key", "message": "canary is no key"}})

    fine, said = await _said(
        ask=True, storage=storage, providers=_provider(upstream, api_key="canary")
    )

    assert not fine
    assert "provider_unauthorized" in said
    assert "api_key" in said
    assert "canary" not in said


def _refuses(upstream: ScriptedUpstream, times: int) -> None:
    """So many requests are refused, as a strict server does, and the next one is answered."""
    for _ in range(times):
        upstream.fail(422, {"detail": [{"msg": "extra fields not permitted"}]})
        upstream.next_request()
    upstream.tokens("Hi")
    upstream.finish()


@pytest.mark.parametrize(
    ("refusals", "words", "sent"),
    [
        (1, "stream_options = false", {"max_tokens"}),
        (2, 'max_tokens_name = "max_completion_tokens"', {"max_completion_tokens"}),
        (
            4,
            'stream_options = false, max_tokens_name = "max_completion_tokens"',
            {"max_completion_tokens"},
        ),
    ],
)
@pytest.mark.gen_test
async def test_a_server_that_refuses_a_field_is_asked_without_it(
    upstream: ScriptedUpstream,
    storage: dict[str, str],
    refusals: int,
    words: str,
    sent: set[str],
) -> None:
    _refuses(upstream, refusals)

    fine, said = await _said(ask=True, storage=storage, providers=_provider(upstream))

    assert not fine
    assert f"in [providers.openai]: {words}\n" in f"{said}\n"
    last = upstream.requests[-1].json
    assert sent == {name for name in last if "max" in name}
    assert ("stream_options = false" in words) == ("stream_options" not in last)


@pytest.mark.gen_test
async def test_a_server_without_finish_marks_is_told_to_end_at_done(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    upstream.raw(b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n')
    upstream.end()

    fine, said = await _said(ask=True, storage=storage, providers=_provider(upstream))

    assert not fine
    assert "in [providers.openai]: done_ends = true" in said


@pytest.mark.gen_test
async def test_what_no_switch_mends_is_told_as_it_was(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    upstream.fail(400, {"error": {"code": "unsupported_value"}})

    fine, said = await _said(ask=True, storage=storage, providers=_provider(upstream))

    assert not fine
    assert "provider_bad_request" in said
    assert len(upstream.requests) <= 5


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9/v1", "the connection was refused"),
        ("http://no-such-host.invalid/v1", "the name has no address"),
    ],
)
@pytest.mark.gen_test
async def test_a_provider_that_cannot_be_reached_is_told_why(
    storage: dict[str, str], address: str, words: str
) -> None:
    providers = {"own": {"dialect": "openai", "base_url": address, "models": ["m"]}}

    fine, said = await _said(storage=storage, providers=providers)

    assert not fine
    assert words in said


@pytest.mark.gen_test
async def test_a_certificate_that_is_not_trusted_is_told(
    storage: dict[str, str], tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        own = {"dialect": "openai", "base_url": f"https://127.0.0.1:{port}/v1", "models": ["m"]}
        fine, said = await _said(storage=storage, providers={"own": own})
        trusted = {**own, "ca_certs": str(tmp_path / "ca.pem")}
        fine_then, said_then = await _said(storage=storage, providers={"own": trusted})

    assert not fine
    assert "certificate is not trusted" in said
    assert fine_then, said_then


# The database


@pytest.mark.gen_test
async def test_a_database_is_examined_before_and_after_its_first_start(
    mongo_url: str, serve: Any
) -> None:
    fine, said = await _said(storage={"url": mongo_url})
    assert fine
    assert "messages.live" in said

    await serve.start(storage={"url": mongo_url})
    fine, said = await _said(storage={"url": mongo_url})

    assert fine
    assert "not there" not in said
    assert "migrate" not in said
    assert "replica set" in said
    assert "clock: within" in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_server_outside_of_any_set_is_wrong(tmp_path: Path) -> None:
    with Mongod.standing_alone(tmp_path) as alone:
        fine, said = await _said(storage={"url": f"mongodb://{alone.address}/headrace"})

    assert not fine
    assert "replica set" in said


@pytest.mark.gen_test
async def test_a_file_of_a_newer_version_is_wrong(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "h.db")
    database.execute("PRAGMA user_version = 999")
    database.close()

    fine, said = await _said(storage={"url": f"sqlite:///{tmp_path}/h.db"})

    assert not fine
    assert "newer version" in said
    assert "is of this version" in said


@pytest.mark.gen_test
async def test_another_programs_file_is_told_from_one_of_a_newer_version(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "places.sqlite")) as database:
        database.executescript("CREATE TABLE moz_places (id); PRAGMA user_version = 77;")

    fine, said = await _said(storage={"url": f"sqlite:///{tmp_path}/places.sqlite"})

    assert not fine
    assert "it holds another program's tables" in said


@pytest.mark.gen_test
async def test_a_file_older_than_those_served_is_wrong_and_migrate_the_remedy(
    tmp_path: Path,
) -> None:
    with closing(sqlite3.connect(tmp_path / "h.db")) as database:
        database.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")

    fine, said = await _said(storage={"url": f"sqlite:///{tmp_path}/h.db"})

    assert not fine
    assert re.search(r"wrong  storage: .* version 1, .*\n       -> server\.py migrate\n", said)


@pytest.mark.gen_test
async def test_what_the_first_stage_left_is_fine_and_due_to_be_migrated(store_url: str) -> None:
    leave_first_stage(store_url)

    fine, said = await _said(storage={"url": store_url})

    assert fine, said
    assert re.search(
        r"look   storage: of another version: .*\n       -> server\.py migrate\n", said
    )


@pytest.mark.gen_test
async def test_a_damaged_file_is_wrong_and_what_helps_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "h.db", 1)
    damaged(tmp_path / "h.db", at=500_000)

    fine, said = await _said(storage={"url": f"sqlite:///{tmp_path}/h.db"})

    assert not fine
    assert re.search(r"wrong  storage: it is damaged: .*\n       -> .*restore", said)


@pytest.mark.gen_test
async def test_a_file_that_is_no_database_any_more_is_refused_in_words_that_help(
    launcher: Launcher,
) -> None:
    file = launcher.folder / "h.db"
    launcher.settings.write_text(f'port = 0\n[storage]\nurl = "sqlite:///{file}"\n')
    filled(file, 1)
    damaged(file, at=0)

    fine, said = await _said(storage={"url": f"sqlite:///{file}"})

    assert not fine
    assert re.search(r"wrong  storage: .*SQLITE_NOTADB.*\n       -> .*restore", said)
    assert "`server.py restore`" in await launcher.refused("--config", str(launcher.settings))


@pytest.mark.gen_test
async def test_a_file_that_was_replaced_under_a_server_is_wrong(launcher: Launcher) -> None:
    launcher.settings.write_text("port = 0\n")
    serving, _ = await launcher.serve()
    file = launcher.folder / "data" / "headrace.db"
    filled(launcher.folder / "other.db", 1)
    damaged(launcher.folder / "other.db", at=500_000)
    (launcher.folder / "other.db").rename(file)

    fine, said = await _said(storage={"url": f"sqlite:///{file}"})

    assert not fine
    assert f"wrong  storage: process {serving.pid} has another file open that had this name" in said
    assert "damaged" not in said


@pytest.mark.parametrize("name", ["data/headrace.db", "link.db"])
@pytest.mark.parametrize(
    ("readonly", "words"),
    [("", "data may not be written to"), ("headrace.db-wal", "headrace.db-wal may not be read")],
)
@pytest.mark.gen_test
async def test_what_may_not_be_written_is_wrong_and_named(
    needs: Callable[[str], str], launcher: Launcher, name: str, readonly: str, words: str
) -> None:
    launcher.settings.write_text("port = 0\n")
    await launcher.serve()
    os.symlink("data/headrace.db", launcher.folder / "link.db")
    place = launcher.folder / "data" / readonly
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    in_a_world_of_its_own = (
        *(needs("unshare"), "--user", "--map-root-user", "--mount"),
        *("sh", "-c", script, "sh", str(place)),
    )

    process = await asyncio.create_subprocess_exec(
        *(
            *in_a_world_of_its_own,
            sys.executable,
            str(Path(machine.__file__).parents[1] / "server.py"),
        ),
        *("--config", str(launcher.settings), "doctor"),
        cwd=launcher.folder,
        env={**os.environ, "HEADRACE_STORAGE__URL": f"sqlite:///{name}"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()

    assert 1 == process.returncode
    assert words in out.decode()
    assert "-> mount its disk writable" in out.decode()


@pytest.mark.parametrize(
    ("examined", "mark", "words"),
    [
        ({"due": ("validator of messages",)}, "look", "of another version: validator of messages"),
        ({"ahead_seconds": -3.0}, "look", "3.0 s behind"),
        ({"ahead_seconds": 3.0}, "look", "3.0 s ahead of"),
        ({"version": (4, 2, 0)}, "wrong", "4.2.0 is too old"),
        ({"free_bytes": 5_000_000}, "look", "5 MB are free"),
        ({"free_bytes": 100_000}, "wrong", "0.1 MB are free"),
        ({"is_looked_through": False}, "look", "not checked to its end"),
    ],
)
def test_what_a_database_says_is_weighed(examined: dict[str, Any], mark: str, words: str) -> None:
    facts = {"name": "MongoDB", "version": (6, 0, 5), "shape": "replica set", **examined}

    found = list(_findings(Settings(), StoreReport(**facts)))

    assert [mark] == [each.mark for each in found if words in each.words]


# The machine


def test_too_few_files_are_told_with_the_number_that_would_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))

    found, *_ = machine.limits(Settings())

    assert "look" == found.mark
    assert "LimitNOFILE=12160" in found.remedy  # for 10,000 connections and 2,000 answers
    assert "would take in 2,048 connections" in found.words


@pytest.mark.parametrize(("descriptors", "mark"), [(1659, "look"), (1660, "ok")])
@pytest.mark.gen_test
async def test_files_are_enough_for_the_doctor_where_they_are_for_the_server(
    monkeypatch: pytest.MonkeyPatch, serve: Serving, descriptors: int, mark: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    few = {"limits": {"connections": 1000, "answers": 2000}, "upstream": {"max_connections": 500}}

    found, *_ = machine.limits(Settings(**few))
    server = await serve.start(**few)

    assert mark == found.mark
    assert (mark == "ok") == (server.acceptor.max_connections == 1000)


def test_a_short_queue_for_connections_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "somaxconn").write_text("128\n")
    monkeypatch.setattr(machine, "_SOMAXCONN", tmp_path / "somaxconn")

    *_, found = machine.limits(Settings())

    assert ("look", "sysctl net.core.somaxconn=4096") == (found.mark, found.remedy)


@pytest.mark.parametrize(("taken", "family"), [("127.0.0.1", "AF_INET"), ("::1", "AF_INET6")])
@pytest.mark.gen_test
async def test_a_port_of_both_kinds_is_looked_at_as_both(
    storage: dict[str, str], taken: str, family: str
) -> None:
    auth = {"mode": "keys", "secret": "x" * 32}
    with socket.create_server((taken, 0), family=getattr(socket, family)) as other:
        port = other.getsockname()[1]
        _, said = await _said(host="::", port=port, storage=storage, auth=auth)
    assert f"wrong  port: [::]:{port} is taken, and not by a Headrace" in said

    _, said = await _said(host="::", port=port, storage=storage, auth=auth)
    assert f"ok     port: [::]:{port} is free" in said


@pytest.mark.gen_test
async def test_a_unix_socket_is_looked_at_like_a_port(
    launcher: Launcher, tmp_path: Path, storage: dict[str, str]
) -> None:
    host = f"unix:{tmp_path}/h.sock"
    _, said = await _said(host=host, storage=storage)
    assert f"ok     port: {tmp_path}/h.sock is free" in said

    launcher.settings.write_text(f'host = "{host}"')
    await launcher.serve()
    _, said = await _said(host=host, storage=storage)
    assert "is taken, by a Headrace that answers" in said

    fine, said = await _said(host="unix:/nowhere/h.sock", storage=storage)
    assert not fine
    assert "RuntimeDirectory=" in said


# While there are no keys


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
        ("00000000:0050", "01", []),
        ("00000000:1F90", "0A", []),
    ],
)
def test_who_listens_to_the_world_is_found(local: str, state: str, found: list[int]) -> None:
    table = _TABLE.format(local, "00000000:0000", state)
    assert found == neighbours.ports_to_the_world(iter([table]))


@pytest.mark.gen_test
async def test_a_proxy_beside_a_server_without_keys_is_looked_at(
    storage: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "tcp"
    table.write_text(_TABLE.format("00000000:0050", "00000000:0000", "0A"))
    monkeypatch.setattr(neighbours, "_TABLES", (table, tmp_path / "missing"))
    said_of_port = (
        'look   auth.mode "none": a program on this machine listens to the network on port 80'
    )

    _, without = await _said(storage=storage)
    _, with_keys = await _said(storage=storage, auth={"mode": "keys", "secret": "s" * 32})

    assert said_of_port in without
    assert "auth.mode" not in with_keys


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        (0, "look   {}: this user is root"),
        (65_534, "look   {}: this user is nobody"),
        (1000, "ok     {}: "),
    ],
)
@pytest.mark.gen_test
async def test_who_shares_their_user_with_proxies_is_told_so(
    storage: dict[str, str], monkeypatch: pytest.MonkeyPatch, uid: int, said: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(neighbours, "_TABLES", ())
    _, lines = await _said(storage=storage)
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

    fine, lines = await _said(storage=storage)
    server = await serve.start()
    refused = await call(server.url, "GET", "/api/v1/models")

    assert not fine
    assert "AF_NETLINK in the unit's RestrictAddressFamilies" in lines
    assert (403, "foreign_user") == (refused.status, refused.body["error"]["code"])
