"""What systemd hears of us: real datagrams, and its own program that hands sockets down."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervision import Supervisor
from tests.launching import Launcher
from tests.mongod import free_ports
from tests.readers import Reader, call


class Ear:
    """The socket that a systemd would listen on."""

    def __init__(self, address: str) -> None:
        self.address = address.replace("\0", "@")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    async def hear(self) -> dict[str, str]:
        """The next message, taken apart."""
        message = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
        return dict(line.split("=", 1) for line in message.decode().split("\n"))

    async def hear_of(self, name: str) -> dict[str, str]:
        """The next message that says anything about `name`."""
        while name not in (heard := await self.hear()):
            pass
        return heard

    def silent(self) -> bool:
        """Whether nothing has come that was not heard yet."""
        try:
            self._socket.recv(4096, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    listening = Ear(str(tmp_path / "notify"))
    yield listening
    listening.close()


def test_a_watchdog_that_is_no_number_is_none() -> None:
    Supervisor({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"})


async def _over(notifying: asyncio.Task[None]) -> None:
    notifying.cancel()
    await asyncio.wait({notifying})


@pytest.mark.gen_test
async def test_every_message_holds_all_there_is_to_say(ear: Ear) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "20000"})
    notifying = asyncio.create_task(supervisor.keep_notifying())
    alive = {"WATCHDOG": "1"}
    assert {"STATUS": "starting", **alive} == await ear.hear()
    live = iter(range(1, 1000))

    supervisor.ready(lambda: f"{next(live)} live")

    assert {"READY": "1", "STATUS": "1 live", **alive} == await ear.hear_of("READY")
    assert {"READY": "1", "STATUS": "2 live", **alive} == await ear.hear()
    supervisor.stopping(lambda: "draining")
    stopping = {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "30000", "STATUS": "draining", **alive}
    assert stopping == await ear.hear_of("STOPPING")
    assert stopping == await ear.hear()
    await _over(notifying)


@pytest.mark.gen_test
async def test_a_loop_that_hangs_falls_silent(ear: Ear) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "2000"})
    notifying = asyncio.create_task(supervisor.keep_notifying())
    await ear.hear()
    while not ear.silent():
        await ear.hear()

    time.sleep(0.05)  # noqa: ASYNC251 -- this is what a hanging loop does

    assert ear.silent()
    await ear.hear()
    await _over(notifying)


@pytest.mark.gen_test
async def test_a_watchdog_for_another_process_is_not_ours_to_feed(ear: Ear) -> None:
    environ = {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}
    Supervisor(environ).stopping(lambda: "")
    assert "15000000" == (await ear.hear())["EXTEND_TIMEOUT_USEC"]
    Supervisor({**environ, "WATCHDOG_PID": str(os.getpid())}).stopping(lambda: "")
    assert "30000" == (await ear.hear())["EXTEND_TIMEOUT_USEC"]


@pytest.mark.gen_test
async def test_a_socket_outside_of_any_folder_is_found() -> None:
    ear = Ear(f"\0headrace-test-{os.getpid()}")
    Supervisor({"NOTIFY_SOCKET": ear.address}).ready(lambda: "")
    assert "1" == (await ear.hear())["READY"]
    ear.close()


@pytest.mark.gen_test
async def test_a_message_that_is_lost_does_not_matter(
    tmp_path: Path, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.supervision", "cannot be notified")
    address = tmp_path / "notify"
    supervisor = Supervisor({"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "20000"})
    supervisor.ready(lambda: "")
    notifying = asyncio.create_task(supervisor.keep_notifying())

    ear = Ear(str(address))

    assert "1" == (await ear.hear())["READY"]
    await _over(notifying)
    ear.close()


def test_one_that_nobody_listens_for_is_told_once_and_not_each_time(
    tmp_path: Path, expect_log: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("headrace.supervision", "cannot be notified")
    caplog.set_level(logging.INFO, "headrace.supervision")
    supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "notify")})

    for _ in range(50):
        supervisor.ready(lambda: "")
    ear = Ear(str(tmp_path / "notify"))
    supervisor.ready(lambda: "")

    assert [
        "systemd cannot be notified error=No such file or directory",
        "systemd can be notified again after_seconds=0 times=50",
    ] == caplog.messages
    ear.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_server_says_when_it_is_ready_how_it_does_and_that_it_stops(
    launcher: Launcher, ear: Ear
) -> None:
    launcher.settings.write_text("port = 0\n[relay]\ndrain_seconds = 0\n")
    environ = {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "100000"}
    server = await launcher.serve(**environ)
    assert "serving 0 live answers to 0 readers" == (await ear.hear_of("READY"))["STATUS"]
    reader = await Reader.ask(server.url)
    await reader.start()
    while (heard := await ear.hear())["STATUS"] != "serving 1 live answer to 1 reader":
        assert "1" == heard["WATCHDOG"]

    server.terminate()

    assert "draining 1 live answer to 1 reader" == (await ear.hear_of("STOPPING"))["STATUS"]
    assert 0 == await server.process.wait()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_it_serves_the_socket_that_systemd_hands_down(
    launcher: Launcher, needs: Callable[[str], str]
) -> None:
    (port,) = free_ports(1)
    launcher.settings.write_text("port = 1\n")  # where it could not listen itself
    address = f"127.0.0.1:{port}"
    await launcher.activated(needs("systemd-socket-activate"), address)
    while True:
        try:
            ready = await call(f"http://{address}", "GET", "/readyz")
        except ConnectionRefusedError:
            continue  # the activator does not listen yet: each look is a connection
        break

    assert (200, "ready") == (ready.status, ready.body["status"])
