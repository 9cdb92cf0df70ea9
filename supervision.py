"""Notifies systemd of this process' state: ready, alive, status, stopping.

A notification is one datagram of NAME=value lines to the socket in NOTIFY_SOCKET; without that
variable nothing is sent. The event loop sends one every few seconds with the whole state: if the
loop hangs, the notifications stop, which the watchdog notices, and a lost one does not matter.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.supervision")

# Seconds between two notifications: `systemctl status` is never older than this.
_INTERVAL = 5.0


class Supervisor:
    """The supervisor that started this process, if there is one."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # An @ stands for the zero byte that begins the name of an abstract socket.
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._interval = _INTERVAL
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            given = environ.get("WATCHDOG_USEC", "")
            timeout = int(given) / 1_000_000 if given.isdecimal() else 0
            self._interval = min(_INTERVAL, timeout / 2 or _INTERVAL)
        self._outage = OutageLog(
            log,
            "systemd cannot be notified",
            "systemd can be notified again",
            reason="error",
        )
        self._phase: tuple[str, ...] = ()
        self._status: Callable[[], str] = lambda: "starting"

    def ready(self, status: Callable[[], str]) -> None:
        """Notify that the server is ready; `status` returns its state in words."""
        self._enter(("READY=1",), status)

    def stopping(self, status: Callable[[], str]) -> None:
        """Notify that the server is stopping, which it keeps reporting while its loop runs."""
        # The time of three notifications, of which two may be late. It extends the unit's
        # TimeoutStopSec, so that only a process that reports nothing is killed, whatever
        # `drain_seconds` is.
        extension = f"EXTEND_TIMEOUT_USEC={int(3 * self._interval * 1_000_000)}"
        self._enter(("STOPPING=1", extension), status)

    async def keep_notifying(self) -> None:
        """Send the state every few seconds, until cancelled."""
        while self._address:
            self._notify()
            await asyncio.sleep(self._interval)
        await asyncio.Event().wait()

    def _enter(self, phase: tuple[str, ...], status: Callable[[], str]) -> None:
        self._phase, self._status = phase, status
        if self._address:
            self._notify()

    def _notify(self) -> None:
        message = "\n".join((*self._phase, "WATCHDOG=1", f"STATUS={self._status()}"))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)  # a supervisor that is busy gets the next notification
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            self._outage.failed(error.strerror or "unknown")
        else:
            self._outage.succeeded()
