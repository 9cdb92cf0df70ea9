"""Looking names up: what serves while a name server is silent, and who waits for whom."""

import asyncio
import logging
import socket
import threading
from typing import Any

import pytest

from http_client import dns
from http_client.dns import CachingResolver

V4, V6 = socket.AF_INET, socket.AF_INET6
NO_NAME = socket.gaierror(socket.EAI_NONAME, "no such name")
AT_A_LOSS = socket.gaierror(socket.EAI_AGAIN, "try again")


class NameServer:
    """Responds as configured, by name and family; it does not respond about anything else."""

    def __init__(self) -> None:
        self.says: dict[tuple[str, int], str | Exception] = {}
        self.asked: list[tuple[str, int]] = []
        self.over = threading.Event()
        self._changed = threading.Condition()

    def say(self, name: str, family: int, said: str | Exception) -> None:
        with self._changed:
            self.says[name, family] = said
            self._changed.notify_all()

    def lookup(self, name: str, port: None, family: int, kind: int) -> list[Any]:
        """As `socket.getaddrinfo`."""
        with self._changed:
            self.asked.append((name, family))
            self._changed.wait_for(lambda: (name, family) in self.says or self.over.is_set(), 30)
            said = self.says.get((name, family), NO_NAME)
        if isinstance(said, Exception):
            raise said
        rest = (0, 0) if family == V6 else ()
        return [(family, kind, 6, "", (said, 0, *rest))]

    def end(self) -> None:
        with self._changed:
            self.over.set()
            self._changed.notify_all()


@pytest.fixture
def server() -> Any:
    made = NameServer()
    yield made
    made.end()


@pytest.mark.gen_test
async def test_both_families_are_found_and_ipv6_is_tried_first(server: NameServer) -> None:
    server.say("p.example", V4, "192.0.2.1")
    server.say("p.example", V6, "2001:db8::1")

    found = await CachingResolver(lookup=server.lookup).resolve("p.example", 443)

    assert [(V6, ("2001:db8::1", 443, 0, 0)), (V4, ("192.0.2.1", 443))] == found


@pytest.mark.gen_test
@pytest.mark.parametrize(("family", "address"), [(V4, "192.0.2.1"), (V6, "2001:db8::1")])
async def test_nobody_waits_for_a_family_that_the_name_server_is_silent_about(
    server: NameServer, family: int, address: str
) -> None:
    server.say("p.example", family, address)

    found = await CachingResolver(lookup=server.lookup).resolve("p.example", 443)

    assert [address] == [each[1][0] for each in found]


@pytest.mark.gen_test
async def test_however_many_ask_a_name_is_looked_up_once(server: NameServer) -> None:
    looking = CachingResolver(lookup=server.lookup)
    asking = [asyncio.create_task(looking.resolve("p.example", port)) for port in range(1, 101)]
    await asyncio.sleep(0)
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, "192.0.2.1")

    found = [await each for each in asking]

    assert [[(V4, ("192.0.2.1", port))] for port in range(1, 101)] == found
    assert [("p.example", V4), ("p.example", V6)] == sorted(server.asked)


@pytest.mark.gen_test
async def test_who_gives_up_takes_the_lookup_from_nobody(server: NameServer) -> None:
    looking = CachingResolver(lookup=server.lookup)
    leaves = asyncio.create_task(looking.resolve("p.example", 443))
    stays = asyncio.create_task(looking.resolve("p.example", 443))
    await asyncio.sleep(0)
    leaves.cancel()
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, "192.0.2.1")

    assert [(V4, ("192.0.2.1", 443))] == await stays


@pytest.mark.slow
@pytest.mark.gen_test
@pytest.mark.parametrize("trouble", [None, AT_A_LOSS])
async def test_while_the_name_server_fails_the_last_good_address_serves(
    server: NameServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: Exception | None,
) -> None:
    monkeypatch.setattr(dns, "_FRESH_SECONDS", 0)
    monkeypatch.setattr(dns, "_OUTAGE_SECONDS", 0)
    caplog.set_level(logging.INFO)
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, "192.0.2.1")
    looking = CachingResolver(lookup=server.lookup)
    before = await looking.resolve("p.example", 443)
    if trouble is None:
        del server.says["p.example", V4]
    else:
        server.say("p.example", V4, trouble)

    meanwhile = [await looking.resolve("p.example", 443) for _ in range(3)]

    assert [before] * 3 == meanwhile
    server.say("p.example", V4, "192.0.2.2")
    async with asyncio.timeout(20):
        while (found := await looking.resolve("p.example", 443)) == before:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert [(V4, ("192.0.2.2", 443))] == found
    assert [
        "the name server does not respond, old addresses are used name=p.example",
        "the name server answers again name=p.example",
    ] == said(caplog)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "headrace.dns"]


async def known(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> CachingResolver:
    """What has looked `p.example` up, and is to look it up anew each time."""
    monkeypatch.setattr(dns, "_FRESH_SECONDS", 0)
    server.say("p.example", V6, "2001:db8::1")
    server.say("p.example", V4, "192.0.2.1")
    looking = CachingResolver(lookup=server.lookup)
    assert 2 == len(await looking.resolve("p.example", 443))
    return looking


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_silence_is_waited_for_once_and_not_by_everybody_who_comes(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = await known(server, monkeypatch)
    server.says.clear()

    async with asyncio.timeout(20 * dns._SILENT_SECONDS):
        for _ in range(100):
            assert 2 == len(await looking.resolve("p.example", 443))


@pytest.mark.gen_test
async def test_a_name_server_that_is_slow_is_not_told_of_and_one_that_is_silent_once_a_name(
    server: NameServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dns, "_SILENT_SECONDS", 0.01)
    looking = await known(server, monkeypatch)
    server.says.clear()
    await looking.resolve("p.example", 443)
    assert [] == said(caplog)

    monkeypatch.setattr(dns, "_OUTAGE_SECONDS", 0)
    for _ in range(3):
        await looking.resolve("p.example", 443)

    assert ["the name server does not respond, old addresses are used name=p.example"] == said(
        caplog
    )


@pytest.mark.gen_test
async def test_a_lookup_that_breaks_is_the_last_one_of_no_name(
    server: NameServer, expect_log: Any
) -> None:
    expect_log("headrace.dns", "lookup failed name=p.example")
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, MemoryError())  # type: ignore[arg-type]
    looking = CachingResolver(lookup=server.lookup)
    with pytest.raises(OSError, match="the lookup failed"):
        await looking.resolve("p.example", 443)

    server.say("p.example", V4, "192.0.2.1")

    assert [(V4, ("192.0.2.1", 443))] == await looking.resolve("p.example", 443)


@pytest.mark.gen_test
async def test_an_address_that_is_no_longer_one_does_not_serve(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns, "_FRESH_SECONDS", 0)
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, "192.0.2.1")
    looking = CachingResolver(lookup=server.lookup)
    await looking.resolve("p.example", 443)
    server.say("p.example", V4, NO_NAME)

    with pytest.raises(socket.gaierror):
        await looking.resolve("p.example", 443)


@pytest.mark.gen_test
async def test_what_failed_is_told_rather_than_that_a_family_has_no_address(
    server: NameServer,
) -> None:
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, AT_A_LOSS)

    with pytest.raises(socket.gaierror) as caught:
        await CachingResolver(lookup=server.lookup).resolve("p.example", 443)

    assert socket.EAI_AGAIN == caught.value.errno


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("host", "address"),
    [("192.0.2.1", (V4, ("192.0.2.1", 443))), ("2001:db8::1", (V6, ("2001:db8::1", 443, 0, 0)))],
)
async def test_an_address_is_not_looked_up(server: NameServer, host: str, address: Any) -> None:
    found = await CachingResolver(lookup=server.lookup).resolve(host, 443)

    assert [address] == found
    assert [] == server.asked


@pytest.mark.gen_test
async def test_closing_ends_the_waiting_and_drops_later_results(
    server: NameServer,
) -> None:
    looking = CachingResolver(lookup=server.lookup)
    asking = asyncio.create_task(looking.resolve("p.example", 443))
    await asyncio.sleep(0)
    looking.close()

    with pytest.raises(OSError, match="nobody looks names up"):
        await asking
    server.say("p.example", V4, "192.0.2.1")


@pytest.mark.gen_test
async def test_the_systems_own_lookup(expect_log: Any) -> None:
    found = await CachingResolver().resolve("localhost", 80)

    assert {(V4, ("127.0.0.1", 80)), (V6, ("::1", 80, 0, 0))} >= set(found)
    with pytest.raises(socket.gaierror):
        await CachingResolver().resolve("nowhere.invalid", 80)
