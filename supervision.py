"""What this process tells the systemd that started it: ready, alive, how it does, stopping.

A message is one datagram of NAME=value lines to the socket that NOTIFY_SOCKET names; without one
nobody listens and nothing is sent. The event loop itself sends one every few seconds, and each
holds all there is to say: a loop that hangs falls silent, which is what the watchdog waits for,
and a message that is lost does not matter.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.supervision")

# Seconds. What `systemctl status` shows is not older than this.
_INTERVAL = 5.0


class Supervisor:
    """Whoever started this process and wants to hear from it; perhaps nobody."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # An @ stands for the zero byte that begins the name of a socket outside of any folder.
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._interval = _INTERVAL
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            given = environ.get("WATCHDOG_USEC", "")
            patience = int(given) / 1_000_000 if given.isdecimal() else 0
            self._interval = min(_INTERVAL, patience / 2 or _INTERVAL)
        self._outage = OutageLog(
            log,
            "the supervisor could not be told",
            "the supervisor can be told again",
            reason="error",
        )
        self._phase: tuple[str, ...] = ()
        self._status: Callable[[], str] = lambda: "starting"

    def ready(self, status: Callable[[], str]) -> None:
        """From now on it serves; `status` says how it does, in words."""
        self._enter(("READY=1",), status)

    def stopping(self, status: Callable[[], str]) -> None:
        """From now on it is on its way out, for as long as its loop turns and says so."""
        # Three messages' time, of which two may be late. It makes a unit's TimeoutStopSec no
        # concern of whoever sets `drain_seconds`: only silence is cut short.
        extension = f"EXTEND_TIMEOUT_USEC={int(3 * self._interval * 1_000_000)}"
        self._enter(("STOPPING=1", extension), status)

    async def keep_telling(self) -> None:
        """Say how things are, again and again; it does not return."""
        while self._address:
            self._tell()
            await asyncio.sleep(self._interval)
        await asyncio.Event().wait()

    def _enter(self, phase: tuple[str, ...], status: Callable[[], str]) -> None:
        self._phase, self._status = phase, status
        if self._address:
            self._tell()

    def _tell(self) -> None:
        message = "\n".join((*self._phase, "WATCHDOG=1", f"STATUS={self._status()}"))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)  # a supervisor that is busy is told the next time
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            self._outage.failed(error.strerror or "unknown")
        else:
            self._outage.succeeded()
