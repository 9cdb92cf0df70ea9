"""The shipped units under a real systemd: started, hurt, restarted while readers are there."""

import asyncio
import os
import re
import ssl
from contextlib import suppress

import pytest
import trustme

from relay.unsent_budget import FREE_BYTES
from settings import Settings
from tests.deploy.installed import CREDENTIALS, URL, Installed
from tests.deploy.load import Load
from tests.readers import Reader, call
from tests.systemd_box.box import Box
from tests.upstreams import ScriptedUpstream

# Each boots a system of its own. Those with answers that go on are alone: the lease is a second.
pytestmark = pytest.mark.slow

# systemd's marks go from 0.0, shut off from everything, to 10.0. What is left is the internet.
_EXPOSURE_AT_MOST = "12"  # in tenths

# Loaded into the server's process before anything of its own: a signal makes its loop hang.
_HANG_ON_SIGUSR2 = """
import signal, threading
def hang_here(*_):
    threading.Event().wait()
signal.signal(signal.SIGUSR2, hang_here)
"""


@pytest.mark.gen_test
async def test_the_units_pass_systemds_own_judgement(installed: Installed) -> None:
    units = [f"/etc/systemd/system/headrace{kind}" for kind in (".socket", "@.service")]
    assert "" == await installed.box.run("systemd-analyze", "verify", *units)
    await installed.box.run(
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={_EXPOSURE_AT_MOST}",
        "headrace@.service",
    )


@pytest.mark.gen_test
async def test_its_memory_has_a_bound_with_room_for_what_the_settings_allow_at_once(
    installed: Installed,
) -> None:
    limits = Settings().limits
    unread = 40_000 + FREE_BYTES + 2 * 32 * 1024  # a stream, a write, what its kernel takes
    held = limits.connections * unread + limits.max_bodies_bytes + limits.max_unsent_bytes
    held += 2 * limits.max_file_bodies_bytes

    await installed.start(1)

    allowed = int(await installed.show(1, "MemoryMax"))
    assert held < allowed < 2 * held
    # Hardened as it is, it can tell the C library to give memory back.
    maps = installed.box.root / f"proc/{await installed.pid(1)}/maps"
    assert "_ctypes" in maps.read_text()


@pytest.mark.alone
@pytest.mark.gen_test
async def test_it_starts_as_nobody_with_its_secrets_and_keeps_what_it_stored(
    installed: Installed, upstream: ScriptedUpstream
) -> None:
    await installed.start(1)
    upstream.tokens("你好")
    reader = await Reader.ask(URL)
    start = await reader.start()
    await installed.until(1, "StatusText", "serving 1 live answer to 1 reader")
    request = await upstream.request()
    assert "Bearer sk-from-a-credential" == request.headers["Authorization"]
    status = installed.box.root / f"proc/{await installed.pid(1)}/status"
    assert "Uid:\t0" not in status.read_text()
    upstream.finish()
    assert "complete" == (await reader.end())["status"]

    await installed.restart(1)

    kept = await Reader.come_back(URL, start["answer_id"])
    assert "complete" == (await kept.end())["status"]
    assert "你好" == kept.so_far


@pytest.mark.gen_test
async def test_a_command_for_the_service_is_given_what_the_operator_wrote(
    installed: Installed,
) -> None:
    installed.ask_for_keys()
    await installed.start(1)
    await installed.key()
    command = "/opt/headrace/deploy/headrace"
    user, note = "li wei", "50% of $5, $HOME and ${HOME} 'or' \\x41"
    await installed.box.run(command, "create-key", "--user", user, "--note", note)
    assert (await installed.box.run(command, "list-keys", "--user", user)).endswith(note)


@pytest.mark.gen_test
async def test_the_nights_backup_is_made_beside_the_service_and_old_ones_go(
    installed: Installed,
) -> None:
    units = [f"/etc/systemd/system/headrace-backup{kind}" for kind in (".service", ".timer")]
    assert "" == await installed.box.run("systemd-analyze", "verify", *units)
    await installed.start(1)
    folder = "/var/lib/private/headrace"
    killed = "headrace-backup-3ooufwcn.making"
    for name in ("backup-2020-01-01.db", "backup.db", killed, f"{killed}-journal"):
        await installed.box.run("touch", "--date=2020-01-01", f"{folder}/{name}")

    await installed.box.run("systemctl", "start", "headrace-backup.service")

    kept = await installed.box.run("sh", "-c", f"cd {folder} && ls -l backup*")
    assert re.fullmatch(
        r"-rw------- .* backup-20[0-9]{2}-[0-9]{2}-[0-9]{2}\.db\n.* backup\.db", kept
    )
    assert " backup-2020-" not in kept
    assert ".making" not in await installed.box.run("ls", folder)
    code, _ = await installed.box.call("systemctl", "start", "headrace-backup.service")
    assert code != 0  # today's is there
    said = await installed.box.journal("-u", "headrace-backup.service")
    assert "exists already" in said
    installed.box.borrow("dbus.service", "dbus.socket")
    await installed.box.run("systemctl", "start", "dbus.socket")
    await installed.box.run("systemctl", "stop", "headrace.socket")
    name = kept.split()[8]

    said = await installed.box.run("/opt/headrace/deploy/headrace", "restore", name)

    assert "restored: " in said
    await installed.start(1)
    assert 200 == (await call(URL, "GET", "/readyz")).status


@pytest.mark.gen_test
async def test_an_unknown_credential_stops_the_start_and_is_named(installed: Installed) -> None:
    installed.keep("providers.openai.apikey", "sk-canary")
    code, _ = await installed.box.call("systemctl", "start", "headrace@1")
    said = await installed.box.journal("-u", "headrace@1")
    assert code != 0
    assert "headrace: credential providers.openai.apikey (in /run/credentials/" in said
    assert "unknown setting" in said
    assert "canary" not in said
    await installed.box.run("rm", f"{CREDENTIALS}/providers.openai.apikey")
    await installed.until(1, "ActiveState", "active")  # it was tried again


@pytest.mark.alone
@pytest.mark.gen_test
async def test_a_hung_loop_is_killed_says_where_it_hung_and_starts_anew(
    installed: Installed, upstream: ScriptedUpstream
) -> None:
    installed.box.write("/opt/hang/sitecustomize.py", _HANG_ON_SIGUSR2)
    await installed.drop_in("WatchdogSec=1\nEnvironment=PYTHONPATH=/opt/hang")
    await installed.start(1)
    upstream.tokens("half")
    reader = await Reader.ask(URL)
    await reader.text("half")
    hung = await installed.pid(1)

    await installed.kill(1, "SIGUSR2")

    waiting = asyncio.create_task(call(URL, "GET", "/healthz"))
    await installed.until(1, "NRestarts", "1")
    assert 200 == (await waiting).status  # its connection waited in the socket's queue
    assert hung != await installed.pid(1)
    said = await installed.box.journal("-u", "headrace@1")
    assert "Watchdog timeout" in said
    assert "in hang_here" in said


@pytest.mark.alone
@pytest.mark.gen_test
async def test_a_drain_outlasts_the_units_patience_as_long_as_the_loop_turns(
    installed: Installed, upstream: ScriptedUpstream
) -> None:
    installed.configure(relay="heartbeat_seconds = 0.2")
    await installed.drop_in("TimeoutStopSec=100ms")
    await installed.start(1)
    upstream.tokens("a long ")
    reader = await Reader.ask(URL)
    await reader.text("a long ")

    stopping = asyncio.create_task(installed.systemctl("stop", 1))
    await installed.until(1, "StatusText", "draining 1 live answer to 1 reader")

    await reader.next(until_beats=reader.beats + 3)  # several times the unit's patience
    assert "deactivating" == await installed.show(1, "ActiveState")
    upstream.tokens("answer")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]
    assert "a long answer" == reader.so_far
    await stopping
    assert "success" == await installed.show(1, "Result")


@pytest.mark.alone
@pytest.mark.gen_test
async def test_the_socket_starts_a_process_and_takes_all_down_with_it(
    shared: Installed, upstream: ScriptedUpstream
) -> None:
    await shared.box.run("systemctl", "start", "headrace.socket")
    assert "inactive" == await shared.show(1, "ActiveState")
    assert 200 == (await call(URL, "GET", "/readyz")).status
    await shared.start(2)
    await shared.box.run("systemctl", "stop", "headrace.socket")
    for instance in (1, 2):
        await shared.until(instance, "ActiveState", "inactive")


async def _ask(size: int, model: str) -> list[Reader]:
    """So many readers in the middle of their answers."""
    readers = [await Reader.ask(URL, model=model) for _ in range(size)]
    for reader in readers:
        await reader.text("half")
    return readers


@pytest.mark.alone
@pytest.mark.gen_test
async def test_a_process_that_starts_leaves_the_shared_socket_as_the_others_need_it(
    shared: Installed,
) -> None:
    """Its flags are one for all: blocking, it would hang the others' loops in accept()."""
    await shared.start(1)
    info = shared.box.root / f"proc/{await shared.pid(1)}/fdinfo/3"
    starting = asyncio.create_task(shared.start(2))
    while not starting.done():
        (flags,) = re.findall(r"flags:\s*(\d+)", info.read_text())
        assert int(flags, 8) & os.O_NONBLOCK
        await asyncio.sleep(0)
    await starting


@pytest.mark.gen_test
async def test_providers_are_reached_by_name_and_tls_through_the_hardening(
    installed: Installed, upstream: ScriptedUpstream, box: Box
) -> None:
    ca = trustme.CA()
    box.write("/etc/headrace/ca.pem", ca.cert_pem.bytes().decode())
    box.write("/etc/hosts", "127.0.0.1 provider.test\n")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("provider.test").configure_cert(context)
    upstream.tokens("你好")
    upstream.finish()
    async with upstream.behind_tls(context) as port:
        installed.configure(
            f'[providers.tls]\ndialect = "openai"\nbase_url = "https://provider.test:{port}/v1"\n'
            'ca_certs = "/etc/headrace/ca.pem"\napi_key = "sk-x"\n'
        )
        await installed.start(1)
        reader = await Reader.ask(URL, model="tls/model")
        assert "complete" == (await reader.end())["status"]
        assert "你好" == reader.so_far


def _finish(upstream: ScriptedUpstream) -> None:
    """Give its readers the other half."""
    upstream.tokens(" and half")
    upstream.finish()


async def _read_to_the_end(reader: Reader) -> tuple[str, str]:
    """The text and the status; a reader that is disconnected resumes after the last event, as an
    EventSource does."""
    text = ""
    while True:
        while await reader.next() is not None:
            pass
        reader.close()
        text += reader.so_far
        if reader.seen and reader.seen[-1].event == "end":
            return text, reader.seen[-1].data["status"]
        ids = [seen.id for seen in reader.seen if seen.id is not None]
        assert ids, "no event was received that a reader could resume after"
        reader = await Reader.come_back(URL, reader.answer_id, ids[-1])


@pytest.mark.alone
# Five starts of a process on a machine that is busy with the load.
@pytest.mark.gen_test(timeout=90)
async def test_a_rolling_restart_under_load_refuses_nobody_and_every_reader_reads_to_the_end(
    shared: Installed, upstream: ScriptedUpstream, second: ScriptedUpstream
) -> None:
    for each in (upstream, second):
        each.tokens("half")
    await shared.start(1)
    at_one = await _ask(5, "openai/model")
    await shared.start(2)
    async with Load.of(4, URL, model="quick/model") as load:
        # The first process drains: what it has goes on, and who comes now comes to the second.
        restarting = asyncio.create_task(shared.restart(1))
        await shared.until(1, "ActiveState", "deactivating")
        at_two = await _ask(5, "second/model")
        followers = [await Reader.come_back(URL, reader.answer_id) for reader in at_one]
        _finish(upstream)
        for reader in (*at_one, *followers):
            assert ("half and half", "complete") == await _read_to_the_end(reader)
        await restarting

        # What the second one has is now read at both; the first one sends its readers away.
        followers = [await Reader.come_back(URL, reader.answer_id) for reader in at_two * 3]
        await shared.restart(1)

        restarting = asyncio.create_task(shared.restart(2))
        await shared.until(2, "ActiveState", "deactivating")
        _finish(second)
        for reader in (*at_two, *followers):
            assert ("half and half", "complete") == await _read_to_the_end(reader)
        await restarting

    assert ["complete"] == list(load.outcomes), load.outcomes


@pytest.mark.alone
@pytest.mark.gen_test
async def test_kill_9_of_one_process_refuses_nobody_and_costs_only_its_own_answers(
    shared: Installed, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    await shared.start(1)
    killed = await _ask(3, "openai/model")
    for reader in killed:  # what is read elsewhere is stored
        await (await Reader.come_back(URL, reader.answer_id)).text("half")
    await shared.start(2)
    async with Load.of(4, URL, model="quick/model") as load:
        await shared.kill(1, "SIGKILL")
        for reader in killed:
            with suppress(asyncio.IncompleteReadError):
                await reader.end()
            kept = await Reader.come_back(URL, reader.answer_id)
            assert "interrupted" == (await _read_to_the_end(kept))[1]
        await shared.until(1, "NRestarts", "1")
        await shared.until(1, "ActiveState", "active")

    assert load.outcomes["complete"] > 0
    # Who was at the killed process was cut off; who came while it was down was not refused.
    assert {"complete", "cut off", "ConnectionResetError"} >= set(load.outcomes), load.outcomes
