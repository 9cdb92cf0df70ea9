"""Resolves host names, such that one unresponsive name server blocks nothing else.

`getaddrinfo` can block for half a minute and cannot be cancelled. In the thread pool that asyncio
and Tornado share, eight such lookups blocked all other hosts, the closing of the store, and the end
of the process, which waits for that pool. Here each lookup has a thread of its own that nobody
waits for. There is one at a time for a name and an address family, so there are at most twice as
many as the settings name hosts.

While a lookup gets no response, or the name server fails, the last known addresses are used: hosts
rarely move, and TLS certificates tell if one did. IPv6 and IPv4 addresses are looked up in
parallel, since some name servers do not respond for one of the two.
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

log = logging.getLogger("headrace.dns")

Address = tuple[int, Any]  # a family, and an address as `connect` takes it

# Families in the order of preference: RFC 8305 prefers IPv6.
_FAMILIES = (socket.AF_INET6, socket.AF_INET)

# Seconds for which what was found is not looked up again: a burst of questions is one lookup. No
# longer, for some hosts give their addresses lives of half a minute.
_FRESH_SECONDS = 5.0

# Seconds that a lookup may take before the last known addresses are used. A round trip around the
# world takes less.
_SILENT_SECONDS = 0.5

# Seconds without a response before the log says so: a lost packet costs five with most resolvers.
_OUTAGE_SECONDS = 6.0

# Seconds to wait for the second family once the first one is there, as RFC 8305 has it.
_OTHER_FAMILY_SECONDS = 0.05

# Errors that do not mean that the name has no address.
_NAME_SERVER_FAILED = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY)


class CachingResolver(Resolver):
    """Looks names up for `connect`, for one event loop. `lookup` is as `socket.getaddrinfo`."""

    def initialize(self, lookup: Callable[..., Any] = socket.getaddrinfo) -> None:
        """The constructor, as Tornado's configurable classes have it."""
        self._lookup = lookup
        self._cache: dict[tuple[str, int], _CachedName] = {}

    def close(self) -> None:
        """Wait for lookups no longer. Those in progress end by themselves."""
        for known in self._cache.values():
            known.lookup_done(OSError(errno.ECANCELED, "nobody looks names up any more"))

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Address]:
        """The addresses of `host`, at least one. Raises OSError; socket.gaierror if it has none.

        It may take as long as `getaddrinfo` does: callers set a timeout.
        """
        if literal := _literal(host, port):
            return [literal]
        known = [self._looked_up(host, each) for each in _FAMILIES if family in (each, 0)]
        await self._wait_for_any(known)
        found = [address for each in known for address in each.addresses(port)]
        if not found:
            raise _error_of(known)
        return found

    async def _wait_for_any(self, known: list["_CachedName"]) -> None:
        """Wait until there is an address to try, or there is none."""
        has_older = any(each.hosts for each in known)
        while waiting := {each.lookup for each in known if each.lookup is not None}:
            left = max(0.0, _SILENT_SECONDS - max(each.silent_seconds for each in known))
            wait_seconds = left if has_older else None
            if any(each.hosts and not each.is_outdated for each in known):
                wait_seconds = min(_OTHER_FAMILY_SECONDS, left)
            done, _ = await asyncio.wait(
                waiting, timeout=wait_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
        in_use = [each for each in known if each.hosts]
        if in_use and all(each.is_failing for each in in_use):
            in_use[0].log_outage()

    def _looked_up(self, host: str, family: int) -> "_CachedName":
        """What is known of a name; if that is old, a lookup is in progress."""
        known = self._cache.setdefault((host, family), _CachedName(host))
        if known.lookup is None and not known.is_fresh:
            loop = asyncio.get_running_loop()
            known.begin(loop.create_future())
            thread = threading.Thread(
                target=self._look_up,
                args=(loop, known, host, family),
                name="lookup",
                daemon=True,  # so that the end of the process waits for no name server
            )
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left
                known.lookup_done(OSError(errno.EAGAIN, "no thread for a lookup"))
        return known

    def _look_up(
        self, loop: asyncio.AbstractEventLoop, known: "_CachedName", host: str, family: int
    ) -> None:
        """Runs in the thread of one lookup."""
        found: list[Any] | Exception
        try:
            found = self._lookup(host, None, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            found = error
        except Exception as error:  # there is no other lookup until this one is done
            log.error(LogEvent("a lookup broke", name=host), exc_info=error)
            found = OSError(errno.EIO, "the lookup broke")
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(known.lookup_done, found)


class _CachedName:
    """What is known of a name in one family."""

    def __init__(self, host: str) -> None:
        self.lookup: asyncio.Future[None] | None = None
        self.hosts: list[tuple[int, tuple[Any, ...]]] = []  # family, and an address without a port
        self.error: Exception | None = None
        self._host = host
        self._asked_at = 0.0  # by the loop's clock, as all times here
        self._fresh_until = 0.0
        self._outage_logged = False

    def begin(self, lookup: asyncio.Future[None]) -> None:
        """A lookup begins."""
        self.lookup = lookup
        self._asked_at = asyncio.get_running_loop().time()

    @property
    def is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() < self._fresh_until

    @property
    def is_outdated(self) -> bool:
        """Whether what is known is from before: a lookup is under way, or has failed."""
        return self.lookup is not None or self.error is not None

    @property
    def silent_seconds(self) -> float:
        """For how long the lookup under way has had no answer; 0 if none is."""
        if self.lookup is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._asked_at

    @property
    def is_failing(self) -> bool:
        """Whether the last lookup failed, or one has had no answer for as long."""
        is_silent = self.lookup is not None and self.silent_seconds >= _OUTAGE_SECONDS
        return is_silent or self.error is not None

    def addresses(self, port: int) -> Iterator[Address]:
        for family, (host, _, *rest) in self.hosts:
            yield family, (host, port, *rest)

    def lookup_done(self, found: list[Any] | Exception) -> None:
        """A lookup is over."""
        lookup, self.lookup = self.lookup, None
        self.error = found if isinstance(found, Exception) else None
        if self.error is None or _means_no_address(self.error):
            self.hosts = (
                [] if isinstance(found, Exception) else [(each[0], each[4]) for each in found]
            )
            self._fresh_until = asyncio.get_running_loop().time() + _FRESH_SECONDS
            if self._outage_logged:
                log.info(LogEvent("the name server answers again", name=self._host))
                self._outage_logged = False
        if lookup is not None and not lookup.done():
            lookup.set_result(None)

    def log_outage(self) -> None:
        """Log once that old addresses are used because lookups fail."""
        if self.hosts and not self._outage_logged:
            self._outage_logged = True
            log.warning(LogEvent("the name server is silent, old addresses serve", name=self._host))


def _error_of(known: list[_CachedName]) -> Exception:
    """What went wrong: a failed name server says more than that one family has no address.

    A copy: an error that is raised many times would hold all the tracebacks.
    """
    errors = [each.error for each in known if each.error is not None]
    errors.sort(key=_means_no_address)
    return copy.copy(errors[0]) if errors else socket.gaierror(socket.EAI_NONAME, "no address")


def _means_no_address(error: Exception) -> bool:
    """Whether the error means that there is no address; a name that cannot be encoded has none."""
    if isinstance(error, socket.gaierror):
        return error.errno not in _NAME_SERVER_FAILED
    return isinstance(error, UnicodeError)


def _literal(host: str, port: int) -> Address | None:
    """The address, if `host` is one already; None if it has to be looked up."""
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
