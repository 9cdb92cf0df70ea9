"""The shipped settings of nginx and Caddy, in the real ones: streams pass as they come."""

from collections.abc import Callable

import pytest

from tests.deploy.installed import Installed
from tests.deploy.proxied import Phone, Proxy
from tests.readers import Reader, call
from tests.systemd_box.box import Box
from tests.upstreams import ScriptedUpstream
from tests.ways_in import WAYS, Asked

pytestmark = pytest.mark.slow  # each boots a system of its own

_PROXIED = "https://127.0.0.1"


@pytest.fixture(params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, installed: Installed, needs: Callable[[str], str]
) -> Proxy:
    needs(request.param)
    return Proxy(installed.box, request.param)


async def _let_in(proxy: Proxy, installed: Installed) -> dict[str, str]:
    """Start both; the header of a user."""
    installed.ask_for_keys()
    await installed.start(1)
    await proxy.start()
    return await installed.key()


@pytest.mark.gen_test
async def test_it_does_not_open_a_server_without_keys_to_the_world(
    proxy: Proxy, installed: Installed
) -> None:
    await installed.start(1)
    await proxy.start()
    refused = await call(_PROXIED, "GET", "/api/v1/models")
    assert (403, "forwarded_request") == (refused.status, refused.body["error"]["code"])


@pytest.mark.gen_test
async def test_tokens_pass_one_by_one_and_a_reader_comes_back(
    proxy: Proxy, installed: Installed, upstream: ScriptedUpstream
) -> None:
    user = await _let_in(proxy, installed)
    headers = {"Accept-Encoding": "gzip", **user}
    reader = await Reader.ask(_PROXIED, headers=headers, on_disconnect={"grace": 60})
    for so_far in ("一", "一二", "一二三"):
        upstream.tokens(so_far[-1])  # only now: what was not passed on would hold up the test
        await reader.text(so_far)
    last = reader.seen[-1].id
    reader.close()
    await installed.until(1, "StatusText", "serving 1 live answer to 0 readers")

    upstream.tokens("四")
    upstream.finish()
    path = f"/api/v1/answers/{reader.answer_id}/events"
    back = await Reader.open(_PROXIED, "GET", path, headers={"Last-Event-ID": str(last), **user})

    assert "complete" == (await back.end())["status"]
    assert "四" == back.so_far


@pytest.mark.gen_test(timeout=60)
async def test_streams_of_every_protocol_pass_token_by_token_and_say_how_they_ended(
    proxy: Proxy, installed: Installed, upstream: ScriptedUpstream
) -> None:
    alice = await _let_in(proxy, installed)
    bob = await installed.key("bob")  # whose questions are the same, and nobody's second ones
    for way in WAYS.values():
        asked = await Asked.ask(_PROXIED, way, alice)
        for token in ("first", "second"):
            upstream.tokens(token)
            await asked.until(token.encode())
        upstream.finish()
        received = await asked.rest()
        assert way.whole in received
        assert way.broken not in received
        upstream.next_request()

        cut_off = await Asked.ask(_PROXIED, way, bob)
        upstream.tokens("half")
        await cut_off.until(b"half")
        upstream.cut()
        received = await cut_off.rest()
        assert way.broken in received
        assert way.whole not in received
        upstream.next_request()


@pytest.mark.gen_test
async def test_a_reader_who_leaves_stops_the_upstream_call(
    proxy: Proxy, installed: Installed, upstream: ScriptedUpstream
) -> None:
    user = await _let_in(proxy, installed)
    upstream.tokens("half")
    reader = await Reader.ask(_PROXIED, headers=user)
    await reader.text("half")

    reader.writer.transport.abort()  # as a page that is closed: without a farewell in TLS

    await upstream.closed.wait()


@pytest.mark.gen_test(timeout=60)
async def test_a_phone_that_vanished_is_noticed_by_the_kernel_and_stops_the_upstream_call(
    proxy: Proxy, installed: Installed, upstream: ScriptedUpstream, box: Box
) -> None:
    user = await _let_in(proxy, installed)
    # A few seconds in place of the hundred of sysctl.conf.
    await box.run("sysctl", "-q", "net.ipv4.tcp_retries2=3")
    upstream.tokens("half")
    async with Phone.near() as phone:
        connection = await phone.connection()
        reader = await Reader.on(
            connection, "POST", "/api/v1/chat", {"content": "hi"}, headers=user
        )
        await reader.text("half")

        await phone.vanish()

        await upstream.closed.wait()
        connection.writer.transport.abort()  # nobody is there to say goodbye to


@pytest.mark.gen_test
async def test_a_ticket_is_in_no_log(
    proxy: Proxy, installed: Installed, upstream: ScriptedUpstream
) -> None:
    user = await _let_in(proxy, installed)
    upstream.tokens("half")
    reader = await Reader.ask(_PROXIED, headers=user)
    await reader.start()
    path = f"/api/v1/answers/{reader.answer_id}"
    ticket = (await call(_PROXIED, "POST", f"{path}/ticket", headers=user)).body["events_url"]
    through = await Reader.open(_PROXIED, "GET", ticket, headers={"Referer": f"{_PROXIED}{ticket}"})
    await through.text("half")
    upstream.finish()
    await through.end()
    through.close()
    await installed.box.run("systemctl", "stop", "headrace.socket")
    assert 502 == (await call(_PROXIED, "GET", ticket)).status

    await installed.box.run("systemctl", "stop", proxy.name)  # its last lines are written then

    logs = await proxy.logs()
    assert f"{path}/events" in logs
    assert "ticket=" not in logs
