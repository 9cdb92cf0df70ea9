"""The runbook of docs/operating.md: its lines are those of the log, provoked on real parts.

Each scene makes something fail and looks for the lines that it stands for. No line is in the table
without a scene, and no warning in the code without a line in the table.
"""

import ast
import asyncio
import datetime
import logging
import os
import re
import resource
import socket
import sqlite3
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import trustme

from auth import api_keys
from http_client.dns import CachingResolver
from storage.base import Reason, StorageError, TooLarge
from supervision import Supervisor
from tests.auth.test_token_verifier import tampered
from tests.entering import SECRET, Door
from tests.faults import FaultyStorage
from tests.handlers.test_unread import unread
from tests.http_client.far_side import FullBacklog
from tests.http_client.test_dns import AT_A_LOSS, NO_NAME, V4, V6, NameServer
from tests.issuer import Issuer
from tests.launching import Launcher
from tests.mongod import ReplicaSet, free_ports, replica_set
from tests.readers import Reader, call
from tests.steps import JSON, new_conversation, post, sending
from tests.storage.raw import RawSQLite
from tests.upstreams import ScriptedUpstream

ROOT = Path(__file__).resolve().parent.parent
ROOMS = "auth doctor handlers http_client model providers relay sockets storage".split()
ANYTHING = "…"

MODELS = ("GET", "/api/v1/models")

# How often to look for a line that nobody else tells of: 40 seconds, for a machine that is busy.
_TRIES = 800
_PAUSE = 0.05


def lines_of_the_table() -> list[str]:
    """The second cells of the runbook's tables, which are code."""
    text = (ROOT / "docs/operating.md").read_text("utf-8")
    runbook = text.partition("## Runbook\n")[2].partition("\n## ")[0]
    cells = re.finditer(r"^\|[^|]*\| (`+)([^|]+?)\1 \|", runbook, re.MULTILINE)
    return [cell[2] for cell in cells]


def pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.split(ANYTHING))))


# The table and the code


def warnings_in_the_code() -> Iterator[tuple[str, str]]:
    """How every warning begins, and where it is; an ERROR with a traceback is a bug's, and none."""
    for source in [
        *ROOT.glob("*.py"),
        *(file for room in ROOMS for file in (ROOT / room).rglob("*.py")),
    ]:
        tree = ast.parse(source.read_bytes())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        no_warnings: set[ast.expr] = set()
        for call_ in calls:
            called = ast.unparse(call_.func)
            is_bug = any(keyword.arg == "exc_info" for keyword in call_.keywords)
            if is_bug or called in ("log.info", "log.debug"):
                no_warnings.update(call_.args)
        for call_ in calls:
            called = ast.unparse(call_.func)
            if called in ("log.warning", "log.error", "LogEvent") and call_ not in no_warnings:
                words = call_.args[0]
            elif called == "OutageLog":
                words = call_.args[1]
            else:
                continue
            if words not in no_warnings and (begins := beginning(words)) is not None:
                yield begins, f"{source.relative_to(ROOT)}:{call_.lineno}"


def beginning(words: ast.expr) -> str | None:
    """What stands before the first value in a line's words; None of words from elsewhere."""
    if isinstance(words, ast.JoinedStr):
        words = words.values[0]
    if isinstance(words, ast.Constant):
        return re.split(r"%[sd]", str(words.value))[0]
    assert isinstance(words, ast.Call | ast.Name | ast.Attribute), ast.unparse(words)
    return None  # an event, which is looked at where it is made


def test_every_warning_in_the_code_is_in_the_runbook() -> None:
    table = lines_of_the_table()
    warnings = dict(warnings_in_the_code())

    assert len(warnings) > 20
    missing = [
        f"{where}: {words}"
        for words, where in warnings.items()
        if not any(line.startswith(words) for line in table)
    ]
    assert [] == missing


def test_every_line_of_the_runbook_is_provoked_by_one_scene() -> None:
    provoked = [line for scene in SCENES.values() for line in scene]

    assert sorted(provoked) == sorted(lines_of_the_table())


# The scenes: what goes wrong in each, and the lines that it leaves


class Stage:
    """What a scene may use: servers, what stands around them, and the log so far."""

    def __init__(self, request: pytest.FixtureRequest, log: pytest.LogCaptureFixture) -> None:
        self._request = request
        self._log = log
        self.said: list[str] = []  # by processes of their own

    def __getattr__(self, name: str) -> Any:
        return self._request.getfixturevalue(name)

    @property
    def lines(self) -> list[str]:
        return [*self.said, *(record.getMessage() for record in self._log.records)]

    def has(self, line: str) -> bool:
        return any(pattern(line).match(each) for each in self.lines)

    async def shows(self, *lines: str) -> None:
        """Wait until the log has them."""
        missing = list(lines)
        for _ in range(_TRIES):
            missing = [line for line in missing if not self.has(line)]
            if not missing:
                return
            await asyncio.sleep(_PAUSE)
        pytest.fail(f"not in the log: {missing}")


class Scene(NamedTuple):
    play: Callable[[Stage], Awaitable[None]]
    needs: tuple[str, ...]  # fixtures, which have to be made outside of the loop


SCENES: dict[Scene, list[str]] = {}


def scene(*lines: str, needs: str = "serve") -> Callable[[Any], Any]:
    """This coroutine makes the log have these lines; it is given `needs` by its stage."""

    def register(play: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
        SCENES[Scene(play, tuple(needs.split()))] = list(lines)
        return play

    return register


async def refused_start(stage: Stage, settings: str, *, config: str = "", **environ: str) -> None:
    launcher: Launcher = stage.launcher
    launcher.settings.write_text(settings)
    file = config or str(launcher.settings)
    stage.said += (await launcher.refused("--config", file, **environ)).splitlines()


@scene(
    "headrace: HEADRACE_PORT: should be …",
    "headrace: relay.heartbeat: unknown setting (in …)",
    "headrace: credential openai.api_key (in …): unknown setting",
    "headrace: there is no settings file …",
    "headrace: providers.local.ca_certs: cannot read …",
    needs="launcher tmp_path",
)
async def wrong_settings(stage: Stage) -> None:
    credentials = stage.tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "openai.api_key").write_text("sk-x")

    await refused_start(stage, "", HEADRACE_PORT="http")
    await refused_start(stage, "[relay]\nheartbeat = 1")
    await refused_start(stage, "", CREDENTIALS_DIRECTORY=str(credentials))
    await refused_start(stage, "", config="gone.toml")
    await refused_start(
        stage, "[providers.local]\ndialect = 'openai'\nmodels = ['m']\nca_certs = '/nowhere/ca.pem'"
    )


@scene(
    "headrace: cannot listen on …: Address already in use",
    "headrace: cannot use …: …",
    "headrace: … is in use by another Headrace (process …",
    "headrace: … failed on MongoDB at …: no server that takes writes was found",
    needs="launcher tmp_path",
)
async def no_start(stage: Stage) -> None:
    (stage.tmp_path / "file").write_text("")
    stage.launcher.settings.write_text("port = 0")
    _, url = await stage.launcher.serve()
    port = url.rpartition(":")[2]
    nobody = f"127.0.0.1:{free_ports(1)[0]}"

    await refused_start(stage, f"port = {port}\n[storage]\nurl = 'sqlite:///other.db'")
    await refused_start(stage, "port = 0\n[storage]\nurl = 'sqlite:///file/headrace.db'")
    await refused_start(stage, "port = 0")
    await refused_start(
        stage, f"[storage]\nurl = 'mongodb://{nobody}/x?serverSelectionTimeoutMS=100'"
    )


async def refused_for_now(
    url: str,
    method: str = "POST",
    path: str = "/api/v1/conversations",
    headers: dict[str, str] | None = None,
) -> str:
    """The reason that a stranger hears."""
    body = {} if method == "POST" else None
    refused = await call(url, method, path, body, headers=headers)
    assert 503 == refused.status, refused
    return str(refused.body["error"]["reason"])


@scene("requests are refused, the store fails: … reason=locked", needs="serve tmp_path")
async def somebody_writes_to_the_file(stage: Stage) -> None:
    server = await stage.serve.start()
    with closing(sqlite3.connect(stage.tmp_path / "headrace.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "locked" == await refused_for_now(server.url)
        other.rollback()


@scene(
    "requests are refused, the store fails: … reason=full",
    "the store serves again after_seconds=… refused=…",
    needs="store serve",
)
async def the_disk_is_full(stage: Stage) -> None:
    """The one that no process can make without a file system of its own."""
    store: FaultyStorage = stage.store
    server = await stage.serve.start()
    full = StorageError("SQLite failed on x.db: SQLITE_FULL", reason=Reason.FULL)
    store.fail("create_conversation", error=full)
    store.fail("ping", error=full)
    assert "full" == await refused_for_now(server.url)
    await store.called("ping")
    store.heal()
    await stage.shows("the store serves again after_seconds=… refused=…")


@scene("requests are refused, the store fails: … reason=io")
async def files_may_not_grow(stage: Stage) -> None:
    server = await stage.serve.start()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # of this process's files, as yet
    try:
        assert "io" == await refused_for_now(server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@scene(
    "requests are refused, the store fails: … reason=corrupt",
    "the database is damaged, see `server.py check`: …",
    needs="serve tmp_path",
)
async def pages_are_damaged(stage: Stage) -> None:
    server = await stage.serve.start()
    path = await new_conversation(server)
    await stage.serve.stop(server)
    file: Path = stage.tmp_path / "headrace.db"
    _damage(file, "conversations")
    server = await stage.serve.start()
    assert "corrupt" == await refused_for_now(server.url, "GET", path)
    await stage.shows("the database is damaged…")


def _damage(file: Path, table: str) -> None:
    """Write rubbish over a table's first page."""
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = database.execute(query, (table,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as pages:
        pages.seek((page - 1) * size)
        pages.write(b"\x5a" * size)


@scene("unreadable message=… fields=…", needs="serve providers upstream tmp_path")
async def another_version_wrote_it(stage: Stage) -> None:
    server = await stage.serve.start(providers=stage.providers)
    stage.upstream.tokens("a")
    stage.upstream.finish()
    reader = await Reader.ask(server.url)
    await reader.end()
    raw = RawSQLite(stage.tmp_path / "headrace.db")
    raw.change("messages", reader.answer_id, usage="all of it")
    path = f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}/messages"
    assert 200 == (await call(server.url, "GET", path)).status


@scene(
    "requests are refused, the store fails: … reason=timeout",
    "requests are refused, the store fails: … reason=unreachable",
    "checkpoints fail, answers go on: … reason=…",
    "lease not renewed: … reason=…",
    "the lease had run out",
    "orphans not ended: … reason=…",
    "what other processes want is not known: … reason=…",
    "counts are not shared, each process has its own: … reason=…",
    "answers of other processes cannot be read: … reason=…",
    "deleted conversations are not cleared: … reason=…",
    "API keys cannot be looked after: … reason=…",
    needs="serve providers upstream tmp_path",
)
async def mongodb_is_away(stage: Stage) -> None:
    with ExitStack() as stack:
        alone = await asyncio.to_thread(stack.enter_context, replica_set(stage.tmp_path))
        await _away(stage, alone)


async def _away(stage: Stage, mongod: ReplicaSet) -> None:
    (node,) = mongod.nodes
    url = mongod.url("headrace")
    door = Door(stage.serve, url)
    relay = {"checkpoint_seconds": 0.05, "lease_seconds": 0.6, "heartbeat_seconds": 0.2}
    owner, other = [await door.open(providers=stage.providers, relay=relay) for _ in range(2)]
    alice = await door.admit("alice")
    await door.close()
    stage.upstream.tokens("a")
    reader = await Reader.ask(owner.url, headers=alice.headers)
    await reader.text("a")
    path = f"/api/v1/answers/{reader.answer_id}/events"
    follower = await Reader.open(other.url, "GET", path, headers=alice.headers)
    await follower.text("a")

    node.freeze()
    stage.upstream.tokens("b")  # to be saved
    question = {"content": "q"}  # is counted, too
    asked = await call(owner.url, "POST", "/api/v1/chat", question, headers=alice.headers)
    assert (503, "timeout") == (asked.status, asked.body["error"]["reason"])
    await stage.shows("checkpoints fail, answers go on: … reason=…")
    node.kill()
    while "unreachable" != await refused_for_now(owner.url, headers=alice.headers):
        pass  # what was under way when it died is told as a silence
    lines = SCENES[_scene(mongodb_is_away)]
    await stage.shows(*(line for line in lines if line != "the lease had run out"))
    node.start()
    await stage.shows("the lease had run out")
    await stage.serve.stop_all()  # as long as there is a database to say goodbye to


@scene("requests are refused, the store fails: … reason=overloaded", needs="serve monkeypatch")
async def strangers_make_up_keys(stage: Stage) -> None:
    stage.monkeypatch.setattr("auth.api_key_verifier._MOST_ASKED", 0)
    server = await stage.serve.start(auth={"mode": "keys", "secret": SECRET})
    headers = {"Authorization": f"Bearer {api_keys.make().text}"}
    refused = await call(server.url, *MODELS, headers=headers)
    assert (503, "overloaded") == (refused.status, refused.body["error"]["reason"])


@scene("requests are refused, the store fails: … reason=not_primary", needs="mongod serve")
async def the_primary_steps_down(stage: Stage) -> None:
    mongod: ReplicaSet = stage.mongod
    url = mongod.url(f"headrace_test_{os.urandom(8).hex()}")
    server = await stage.serve.start(storage={"url": url})
    with mongod.failing("insert", times=10_000_000, errorCode=10107):
        while "not_primary" != await refused_for_now(server.url):
            pass  # tried again until its time is over, which is what it may say, too


@scene(
    "ending left to the next sweep answer=…",
    "endings of answers are not kept: … reason=…",
    needs="store serve providers upstream monkeypatch",
)
async def an_outage_outlasts_ten_thousand_answers(stage: Stage) -> None:
    stage.monkeypatch.setattr("relay.ending_writer._MAX_LATE", 0)
    relay = {"checkpoint_seconds": 0.02, "lease_seconds": 0.2}
    server = await stage.serve.start(providers=stage.providers, relay=relay)
    stage.store.fail("end_answer")
    stage.upstream.tokens("a")
    stage.upstream.finish()
    await (await Reader.ask(server.url)).end()


@scene(
    "growth of an answer is too large to be saved answer=…",
    needs="store serve providers upstream",
)
async def an_answer_outgrows_a_document(stage: Stage) -> None:
    stage.store.fail("append_chunks", error=TooLarge("past 16 MB"))
    relay = {"checkpoint_seconds": 0.02, "lease_seconds": 0.2}
    server = await stage.serve.start(providers=stage.providers, relay=relay)
    stage.upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.text("a")
    await stage.shows("growth of an answer is too large…")


@scene(
    'auth.mode "none": this system does not tell who connects, only headers do',
    needs="serve monkeypatch",
)
async def not_on_linux(stage: Stage) -> None:
    stage.monkeypatch.setattr("server.HAS_PEER_CREDENTIALS", False)
    await stage.serve.start()


@scene(
    'auth.mode "none" refuses everybody: …',
    "request refused code=foreign_user reason=…",
    needs="serve monkeypatch",
)
async def the_kernel_may_not_be_asked(stage: Stage) -> None:
    stage.monkeypatch.setattr("sockets.peer_credentials._NETLINK_SOCK_DIAG", 31)  # no such protocol
    server = await stage.serve.start()
    assert 403 == (await call(server.url, *MODELS)).status


@scene(
    "request refused code=expired_credentials reason=token_exp …",
    "request refused code=invalid_credentials reason=token_nbf …",
    "request refused code=invalid_credentials reason=token_aud …",
    "request refused code=invalid_credentials reason=token_iss …",
    "request refused code=invalid_credentials reason=token_kid_unknown …",
    "request refused code=invalid_credentials reason=token_alg …",
    "request refused code=invalid_credentials reason=token_signature …",
    "request refused code=credentials_required reason=no_authorization …",
    needs="serve issuer",
)
async def tokens_are_refused(stage: Stage) -> None:
    issuer: Issuer = stage.issuer
    server = await stage.serve.start(auth=issuer.settings())
    clock = int(time.time())
    for token in (
        issuer.token(exp=clock - 3600),
        issuer.token(nbf=clock + 3600),
        issuer.token(aud="another"),
        issuer.token(iss="https://id.example.org"),
        issuer.token(kid="next"),
        issuer.token(algorithm="RS512"),
        tampered(issuer),
    ):
        headers = {"Authorization": f"Bearer {token}"}
        assert 401 == (await call(server.url, *MODELS, headers=headers)).status
    assert 401 == (await call(server.url, *MODELS)).status


@scene(
    "the issuer's keys cannot be fetched reason=…",
    "request refused code=auth_unavailable reason=… request=… untold=…",
    needs="serve issuer",
)
async def the_identity_provider_is_away(stage: Stage) -> None:
    await stage.issuer.stop()
    server = await stage.serve.start(auth=stage.issuer.settings())
    headers = {"Authorization": f"Bearer {stage.issuer.token()}"}
    assert 503 == (await call(server.url, *MODELS, headers=headers)).status
    assert stage.has("the issuer's keys cannot be fetched reason=refused")


@scene(
    "request refused code=invalid_credentials reason=key_unknown …",
    "request refused code=invalid_credentials reason=key_revoked …",
    needs="serve tmp_path",
)
async def keys_are_refused(stage: Stage) -> None:
    door = Door(stage.serve, f"sqlite:///{stage.tmp_path}/keys.db")
    server = await door.open()
    bob = await door.admit("bob")
    await door.revoke(bob)
    await door.close()
    for key in (bob.key, api_keys.make().text):
        headers = {"Authorization": f"Bearer {key}"}
        assert 401 == (await call(server.url, *MODELS, headers=headers)).status


@scene(
    "request refused code=forwarded_request …",
    "request refused code=foreign_origin …",
    "request refused code=too_many_questions …",
)
async def who_may_not_ask(stage: Stage) -> None:
    server = await stage.serve.start(limits={"questions_per_minute": 1})
    await call(server.url, *MODELS, headers={"X-Forwarded-For": "203.0.113.9"})
    await call(server.url, *MODELS, headers={"Origin": "https://evil.example"})
    statuses = {
        (await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)).status
        for _ in range(3)  # a minute may end in between
    }
    assert 429 in statuses


@scene(
    "request refused code=too_many_streams …",
    "request refused code=too_much_unread …",
    needs="serve providers upstream",
)
async def what_was_asked_for_is_not_read(stage: Stage) -> None:
    limits = {"streams_per_user": 1, "max_unsent_bytes": 1_000_000}
    server = await stage.serve.start(providers=stage.providers, limits=limits)
    stage.upstream.tokens("x" * 900_000)
    stage.upstream.finish()
    asked = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    events = f"/api/v1/answers/{asked.body['id']}/events"
    messages = f"/api/v1/conversations/{asked.body['conversation_id']}/messages"
    async with unread(server) as clients:
        clients.ask(events)
        await clients.all_wait()
        for path in (events, messages):
            assert 429 == (await call(server.url, "GET", path)).status


@scene(
    "request not read reason=tls from=… untold=…",
    "request not read reason=request_line from=… untold=…",
    "request not read reason=head_too_slow from=… untold=…",
    "request not read reason=headers_too_large from=… untold=…",
    "connections refused: there are as many as there may be open=… untold=…",
)
async def strangers_connect(stage: Stage) -> None:
    server = await stage.serve.start(limits={"connections": 1, "head_seconds": 0.2})
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    ):
        stream, writer = await sending(server, data)
        await stream.read()
        writer.close()
    held = [await sending(server, b"") for _ in range(2)]
    await held[1][0].read()
    for _, writer in held:
        writer.close()


@scene(
    "connection cut, its peer takes nothing request=… untold=…",
    needs="serve providers upstream",
)
async def a_reader_takes_nothing(stage: Stage) -> None:
    relay = {"heartbeat_seconds": 0.1, "reader_stall_seconds": 1}
    server = await stage.serve.start(providers=stage.providers, relay=relay)
    stage.upstream.tokens(*["x" * 16_000] * 20)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        place = urlsplit(server.url)
        reader.connect((place.hostname, place.port))
        reader.sendall(post(b'{"content": "q"}'))
        await stage.shows("connection cut, its peer takes nothing…")


@scene("connections refused: out of descriptors: raise the limit on open files open=… untold=…")
async def no_descriptor_is_left(stage: Stage) -> None:
    server = await stage.serve.start()
    place = urlsplit(server.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        next_one = os.dup(client.fileno())
        os.close(next_one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))  # there is no next one
        try:
            client.connect((place.hostname, place.port))
            await stage.shows("connections refused: out of descriptors…")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


FAILED = "answer ended status=failed code="


@scene(
    f"{FAILED}provider_unreachable provider_code=- reason=no_address …",
    f"{FAILED}provider_unreachable provider_code=- reason=refused …",
    f"{FAILED}provider_unreachable provider_code=- reason=tls_unknown_ca …",
    f"{FAILED}provider_unreachable provider_code=- reason=tls_hostname_mismatch …",
    f"{FAILED}provider_unreachable provider_code=- reason=tls_certificate_expired …",
    f"{FAILED}provider_unreachable provider_code=- reason=by_proxy_http_407 …",
    f"{FAILED}connect_timeout provider_code=- reason=tcp_is_silent …",
    needs="serve upstream tmp_path",
)
async def providers_cannot_be_reached(stage: Stage) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(stage.tmp_path / "ca.pem"))
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificates = {
        "unknown": ca.issue_cert("localhost"),
        "mismatch": ca.issue_cert("other.example"),
        "expired": ca.issue_cert("localhost", not_after=past),
    }
    common = {"dialect": "openai", "models": ["m"]}
    upstream: ScriptedUpstream = stage.upstream
    proxy = await asyncio.start_server(_wants_a_password, "127.0.0.1", 0)
    proxied = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    providers: dict[str, Any] = {
        "no-name": {**common, "base_url": f"http://{'a' * 70}.example/v1"},
        "nobody": {**common, "base_url": f"http://127.0.0.1:{free_ports(1)[0]}/v1"},
        "proxied": {**common, "base_url": "http://upstream.example/v1", "proxy": proxied},
    }
    full = FullBacklog()
    providers["full"] = {**common, "base_url": f"http://127.0.0.1:{full.port}/v1"}
    async with proxy, AsyncExitStack() as stack:
        stack.callback(full.close)
        for name, certificate in certificates.items():
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificate.configure_cert(context)
            port = await stack.enter_async_context(upstream.behind_tls(context))
            trusts = {} if name == "unknown" else {"ca_certs": stage.tmp_path / "ca.pem"}
            base_url = f"https://localhost:{port}/v1"
            providers[name] = {**common, **trusts, "base_url": base_url}
        server = await stage.serve.start(providers=providers, timeouts={"connect": 2})
        for name in providers:
            await (await Reader.ask(server.url, model=f"{name}/m")).end()


async def _wants_a_password(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await stream.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    writer.close()


@scene(
    f"{FAILED}provider_unauthorized provider_code=… reason=…",
    f"{FAILED}provider_bad_request provider_code=- reason=http_400 …",
    f"{FAILED}provider_quota_exceeded provider_code=… reason=…",
    f"{FAILED}provider_overloaded provider_code=- reason=http_502 …",
    f"{FAILED}provider_bad_response provider_code=- reason=html …",
    f"{FAILED}provider_bad_response provider_code=- reason=content_encoding_br …",
    f"{FAILED}stream_broken provider_code=- reason=closed_in_the_body …",
    f"{FAILED}stream_broken provider_code=- reason=no_finish_mark …",
    f"{FAILED}first_token_timeout …",
    needs="serve providers upstream",
)
async def providers_answer_badly(stage: Stage) -> None:
    upstream: ScriptedUpstream = stage.upstream
    upstream.fail(401, {"error": {"code": "invalid_api_key"}})
    upstream.next_request()
    upstream.fail(400, {"error": {"message": "I do not like it"}})
    upstream.next_request()
    upstream.fail(429, {"error": {"code": "insufficient_quota"}})
    upstream.next_request()
    upstream.fail(502, b"<html>Bad Gateway</html>")
    upstream.next_request()
    upstream.fail(200, b"<html>Log in</html>", Content_Type="text/html")
    upstream.next_request()
    upstream.fail(200, b"xx", Content_Encoding="br")
    upstream.next_request()
    upstream.tokens("half")
    upstream.cut()
    upstream.next_request()
    upstream.tokens("half")
    upstream.end()
    upstream.next_request()
    upstream.silent()
    server = await stage.serve.start(providers=stage.providers, timeouts={"first_token": 0.3})
    for _ in range(9):
        await (await Reader.ask(server.url)).end()


@scene("the name server is silent, old addresses serve name=…", needs="monkeypatch")
async def dns_is_silent(stage: Stage) -> None:
    stage.monkeypatch.setattr("http_client.dns._FRESH_SECONDS", 0)
    server = NameServer()
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, "192.0.2.1")
    names = CachingResolver(lookup=server.lookup)
    before = await names.resolve("p.example", 443)
    server.say("p.example", V4, AT_A_LOSS)
    assert before == await names.resolve("p.example", 443)
    names.close()


@scene("the supervisor could not be told error=…", needs="tmp_path")
async def systemd_does_not_listen(stage: Stage) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": str(stage.tmp_path / "nobody")})
    supervisor.ready(lambda: "serving")


def _scene(play: Callable[[Stage], Awaitable[None]]) -> Scene:
    return next(each for each in SCENES if each.play is play)


@pytest.mark.parametrize("played", SCENES, ids=lambda played: played.play.__name__)
def test_what_goes_wrong_is_in_the_log_as_the_runbook_has_it(
    played: Scene, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, io_loop: Any
) -> None:
    for name in ("headrace", "tornado.general"):  # as the server has them
        caplog.set_level(logging.INFO, name)
    stage = Stage(request, caplog)
    for name in played.needs:
        request.getfixturevalue(name)

    io_loop.run_sync(lambda: played.play(stage), timeout=90)

    missing = [line for line in SCENES[played] if not stage.has(line)]
    assert [] == missing, "\n".join(stage.lines)
