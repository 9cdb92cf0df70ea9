"""Looking up the addresses of hosts, so that one silent name server holds up nobody else.

`getaddrinfo` can be silent for half a minute and cannot be stopped. In the pool of threads that
asyncio and Tornado share, eight such lookups took all threads from every other host, from the
closing of the store, and from the end of the process, which waits for that pool. Here each lookup
has a thread of its own that nobody waits for. There is one at a time for a name and an address
family, whoever asks, so there are twice as many as the settings name hosts, at most.

While a lookup is silent, or the name server is at a loss, what it said last serves: hosts
rarely move, and a certificate tells if one did. The two families are looked up beside each other,
for there are name servers that are silent about one of them only.
"""

import asyncio
import copy
import errno
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from tornado.netutil import Resolver

from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.names")

Address = tuple[int, Any]  # a family, and an address as `connect` takes it

# In this order they are tried, in turns: RFC 8305 prefers IPv6.
_FAMILIES = (socket.AF_INET6, socket.AF_INET)

# Seconds for which what was found is not looked up again: a burst of questions is one lookup. No
# longer, for some hosts give their addresses lives of half a minute.
_FRESH = 5.0

# Seconds that a lookup may be silent before what it said last serves. From here to the other end of
# the world and back it takes less. Whoever asks later waits for the rest of that, if any is left.
_SILENCE = 0.5

# Seconds of silence before the log says so: a lost packet costs five with most resolvers, and is
# nobody's trouble.
_OUTAGE = 6.0

# Seconds to wait for the second family once the first one is there, as RFC 8305 has it.
_OTHER_FAMILY = 0.05

# The name exists, or may exist, and this time it could not be found out.
_AT_A_LOSS = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY)


class Names(Resolver):
    """Looks names up for `dial`. Belongs to one event loop; `lookup` is as `socket.getaddrinfo`."""

    def initialize(self, lookup: Callable[..., Any] = socket.getaddrinfo) -> None:
        """Tornado's place for a constructor."""
        self._lookup = lookup
        self._known: dict[tuple[str, int], _Known] = {}

    def close(self) -> None:
        """Wait for no lookup any more. Those under way end by themselves, and are not heard."""
        for known in self._known.values():
            known.hear(OSError(errno.ECANCELED, "nobody looks names up any more"))

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Address]:
        """The addresses of `host`, at least one. Raises OSError, socket.gaierror if it has none.

        It may wait for as long as `getaddrinfo` does: whoever calls it bounds that.
        """
        if literal := _literal(host, port):
            return [literal]
        known = [self._asked(host, each) for each in _FAMILIES if family in (each, 0)]
        await self._heard_of(known)
        found = [address for each in known for address in each.addresses(port)]
        if not found:
            raise _worst(known)
        return found

    async def _heard_of(self, known: list["_Known"]) -> None:
        """Wait until there is something to try."""
        has_before = any(each.hosts for each in known)
        while waiting := {each.lookup for each in known if each.lookup is not None}:
            left = max(0.0, _SILENCE - max(each.silent_seconds for each in known))
            patience = left if has_before else None
            if any(each.hosts and not each.is_old for each in known):
                patience = min(_OTHER_FAMILY, left)
            done, _ = await asyncio.wait(
                waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
        serving = [each for each in known if each.hosts]
        if serving and all(each.is_failing for each in serving):
            serving[0].tell()

    def _asked(self, host: str, family: int) -> "_Known":
        """What is known of a name, being looked up if that is old."""
        known = self._known.setdefault((host, family), _Known(host))
        if known.lookup is None and not known.is_fresh:
            loop = asyncio.get_running_loop()
            known.begin(loop.create_future())
            thread = threading.Thread(
                target=self._ask,
                args=(loop, known, host, family),
                name="lookup",
                daemon=True,  # the end of the process waits for no name server
            )
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left
                known.hear(OSError(errno.EAGAIN, "no thread for a lookup"))
        return known

    def _ask(
        self, loop: asyncio.AbstractEventLoop, known: "_Known", host: str, family: int
    ) -> None:
        """In a thread of its own."""
        said: list[Any] | Exception
        try:
            said = self._lookup(host, None, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            said = error
        except Exception as error:  # there is no other lookup until this one is heard of
            log.error(LogEvent("a lookup broke", name=host), exc_info=error)
            said = OSError(errno.EIO, "the lookup broke")
        with suppress(RuntimeError):  # the loop is over, and nobody waits
            loop.call_soon_threadsafe(known.hear, said)


class _Known:
    """What is known of a name in one family."""

    def __init__(self, host: str) -> None:
        self.lookup: asyncio.Future[None] | None = None
        self.hosts: list[tuple[int, tuple[Any, ...]]] = []  # family, and an address without a port
        self.error: Exception | None = None
        self._host = host
        self._asked_at = 0.0  # by the loop's clock, as all times here
        self._fresh_until = 0.0
        self._is_told = False

    def begin(self, lookup: asyncio.Future[None]) -> None:
        """A lookup begins."""
        self.lookup = lookup
        self._asked_at = asyncio.get_running_loop().time()

    @property
    def is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() < self._fresh_until

    @property
    def is_old(self) -> bool:
        """Whether what is known is from before: a lookup is under way, or has failed."""
        return self.lookup is not None or self.error is not None

    @property
    def silent_seconds(self) -> float:
        """For how long the lookup under way has been, if one is."""
        if self.lookup is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._asked_at

    @property
    def is_failing(self) -> bool:
        """Whether the last lookup failed, or one is silent for so long that it is worth telling."""
        is_silent = self.lookup is not None and self.silent_seconds >= _OUTAGE
        return is_silent or self.error is not None

    def addresses(self, port: int) -> Iterator[Address]:
        for family, (host, _, *rest) in self.hosts:
            yield family, (host, port, *rest)

    def hear(self, said: list[Any] | Exception) -> None:
        """A lookup is over."""
        lookup, self.lookup = self.lookup, None
        self.error = said if isinstance(said, Exception) else None
        if self.error is None or _says_no_address(self.error):
            self.hosts = (
                [] if isinstance(said, Exception) else [(each[0], each[4]) for each in said]
            )
            self._fresh_until = asyncio.get_running_loop().time() + _FRESH
            if self._is_told:
                log.info(LogEvent("the name server answers again", name=self._host))
                self._is_told = False
        if lookup is not None and not lookup.done():
            lookup.set_result(None)

    def tell(self) -> None:
        """Say once that old addresses serve, for want of new ones."""
        if self.hosts and not self._is_told:
            self._is_told = True
            log.warning(LogEvent("the name server is silent, old addresses serve", name=self._host))


def _worst(known: list[_Known]) -> Exception:
    """What went wrong: that one family has no address says less than that the server failed.

    A copy: one that many raise would hold all their tracebacks.
    """
    errors = [each.error for each in known if each.error is not None]
    errors.sort(key=_says_no_address)
    return copy.copy(errors[0]) if errors else socket.gaierror(socket.EAI_NONAME, "no address")


def _says_no_address(error: Exception) -> bool:
    """Whether it was found out that there is none; what has no encoding is no name of anybody's."""
    if isinstance(error, socket.gaierror):
        return error.errno not in _AT_A_LOSS
    return isinstance(error, UnicodeError)


def _literal(host: str, port: int) -> Address | None:
    """An address that is written as one: nobody needs to be asked."""
    address, _, zone = host.partition("%")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return None
    if version == 4:
        return socket.AF_INET, (host, port)
    if zone:  # an interface's name: the system knows its number
        return None
    return socket.AF_INET6, (host, port, 0, 0)
