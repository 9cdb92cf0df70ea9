"""What every test may use, and what no test may leave behind.

Fixtures: `io_loop`, `expect_log`, `needs`, `leave_out`. Tests that await are marked
`@pytest.mark.gen_test`; their fixtures are ordinary functions built on `io_loop`. Fakes that more
than one file uses have files of their own.

A test fails if it leaves a task running or an error in the log that it did not expect.
"""

import asyncio
import gc
import itertools
import logging
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NoReturn

import hypothesis
import pytest
from tornado.ioloop import IOLoop

# Fixtures that more than one folder uses have files of their own.
_PLUGINS = (
    "scheduling mongod upstreams faults serving auth_servers issuer launching other_users "
    "tcp_proxy systemd_box.box deploy.installed relay.relays webhook_receiver"
)
pytest_plugins = [f"tests.{name}" for name in _PLUGINS.split()]

# How long an example takes is a matter of the machine, which may be busy with another worker.
hypothesis.settings.register_profile("headrace", deadline=None)
hypothesis.settings.load_profile("headrace")

# Programs that tests may need from the system, and the Debian packages that bring them.
PACKAGES = {
    "chromium": "chromium",
    "git": "git",
    "ip": "iproute2",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "nsenter": "util-linux",
    "strace": "strace",
    "systemctl": "systemd",
    "systemd-socket-activate": "systemd",
    "unshare": "util-linux",
}

# Begins the reason of a test that was left out: reasons reach the summary also from workers.
_LEFT_OUT = "left out: "


def pytest_configure() -> None:
    """Have servers that are started here hear signals, also when the tests run in the background.

    A shell has what it puts there ignore SIGINT, and whatever is started from that inherits it.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Set aside what the imports made, so that collecting garbage after each test is quick."""
    gc.freeze()


_set_aside_count = itertools.count(1)


def _set_aside() -> None:
    """Have what is left, such as modules that were imported late, not looked at after each test.

    Among it is what pytest lets go of only when its test is over, which would stay for good: all is
    looked at once in a while.
    """
    if next(_set_aside_count) % 100 == 0:
        gc.unfreeze()
        gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def leave_out() -> Callable[[str, str], NoReturn]:
    """Leave the test out: `leave_out("needs this", "do that about it")`.

    CI fails; elsewhere the summary says so.
    """

    def skip(reason: str, hint: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}: {hint}")
        pytest.skip(_LEFT_OUT + reason)

    return skip


@pytest.fixture(scope="session")
def needs(leave_out: Callable[[str, str], NoReturn]) -> Callable[[str], str]:
    """Find a program: `needs("nginx")` is its path. Where there is none the test is left out."""

    def find(program: str) -> str:
        # Debian keeps servers in /usr/sbin, where ordinary users do not look.
        path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if path is None:
            package = PACKAGES.get(program, program)
            leave_out(f"needs {program} ({package} in Debian)", ".ci/run has to install it")
        return path

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and in red, what was left out, and for want of what."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    reasons = Counter(reason.removeprefix("Skipped: ") for _, _, reason in skipped)
    for reason, count in sorted(reasons.items()):
        if reason.startswith(_LEFT_OUT):
            missing = reason.removeprefix(_LEFT_OUT)
            terminalreporter.write_sep("!", f"LEFT OUT {count}: {missing}", red=True)


@pytest.fixture(scope="session", autouse=True)
def _straight_to_loopback() -> Iterator[None]:
    """Keep a proxy of the developer's out of the way between our clients and our fakes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """A loop of the test's own, in place of pytest-tornado's. At its end nothing may run on it."""
    io_loop = IOLoop(make_current=False)
    loop = io_loop.asyncio_loop
    # pytest-tornado makes a task of the test before the loop runs: it has to find this one.
    asyncio.set_event_loop(loop)
    yield io_loop
    try:
        if tasks := asyncio.all_tasks(loop):
            # What ends by itself is not left: a handler, say, whose client has just closed.
            _, left = io_loop.run_sync(lambda: asyncio.wait(tasks, timeout=1))
            names = ", ".join(str(task.get_coro()) for task in left)
            for task in left:
                task.cancel()
            if left:
                io_loop.run_sync(lambda: asyncio.wait(left, timeout=1))
                pytest.fail(f"left running: {names}", pytrace=False)
    finally:
        asyncio.set_event_loop(None)
        io_loop.close(all_fds=True)


class ErrorWatch(logging.Handler):
    """Holds what is logged during a test against what the test expects."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []
        self.expected: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def expect(self, logger: str, pattern: str) -> None:
        """Claim the records of `logger` that `pattern` is found in; at least one has to come."""
        self.expected.append((logger, pattern))

    def check(self) -> None:
        """Fail for an error that nobody expected, and for an expected record that did not come."""
        claimed: set[int] = set()
        for logger, pattern in self.expected:
            found = {
                number
                for number, record in enumerate(self.records)
                if record.name == logger and re.search(pattern, record.getMessage())
            }
            if not found:
                pytest.fail(f"{logger} logged nothing like {pattern!r}", pytrace=False)
            claimed |= found
        for number, record in enumerate(self.records):
            if record.levelno >= logging.ERROR and number not in claimed:
                text = logging.Formatter().format(record)
                pytest.fail(f"unexpected in the log of {record.name}: {text}", pytrace=False)


@pytest.fixture(autouse=True)
def _error_watch(request: pytest.FixtureRequest) -> Iterator[ErrorWatch]:
    # Automatic fixtures are made first and so end last: after the loop was closed.
    watch = ErrorWatch()
    logging.getLogger().addHandler(watch)
    yield watch
    if "io_loop" in request.fixturenames:
        gc.collect()  # asyncio and sockets complain when they are collected: let it be here
        _set_aside()
    logging.getLogger().removeHandler(watch)
    watch.check()


@pytest.fixture
def expect_log(_error_watch: ErrorWatch) -> Callable[[str, str], None]:
    """Say that an error log is meant: `expect_log("tornado.application", "Uncaught exception")`.

    Takes WARNING and above; the record has to come, or the test fails.
    """
    return _error_watch.expect
