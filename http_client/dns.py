"""Resolves host names so that an unresponsive name server blocks only the hosts it serves.

`getaddrinfo` can block for half a minute and cannot be cancelled. In the thread pool that asyncio
and Tornado share, eight such lookups would block the lookups of all other hosts, the closing of the
store, and the end of the process, which waits for that pool. So each lookup runs in a thread of its
own, for which nothing waits. There is one lookup at a time for a name and an address family, so
there are at most twice as many threads as the settings name hosts.

While a lookup gets no response or the name server fails, the last known addresses are used: hosts
rarely move, and the check of the TLS certificate fails if one did. IPv6 and IPv4 addresses are
looked up in parallel, since some name servers do not respond for one of the two.
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

Address = tuple[int, Any]  # an address family, and an address as `connect` takes it

# Address families in order of preference: RFC 8305 prefers IPv6.
_FAMILIES = (socket.AF_INET6, socket.AF_INET)

# Seconds for which a result is used without another lookup, so that a burst of requests makes one.
# It is no longer because some hosts publish addresses with a lifetime of half a minute.
_FRESH_SECONDS = 5.0

# Seconds that a lookup may take before the last known addresses are used. A round trip around the
# world takes less.
_SILENT_SECONDS = 0.5

# Seconds without a response before the log mentions it: with most resolvers a lost packet costs
# five.
_OUTAGE_SECONDS = 6.0

# Seconds to wait for the second family after the first has an address, as RFC 8305 has it.
_OTHER_FAMILY_SECONDS = 0.05

# Errors of `getaddrinfo` that do not mean that the name has no address.
_NAME_SERVER_FAILED = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY)


class CachingResolver(Resolver):
    """A resolver for one event loop that caches results.

    `lookup` is called as `socket.getaddrinfo` is.
    """

    def initialize(self, lookup: Callable[..., Any] = socket.getaddrinfo) -> None:
        """Set the resolver up; Tornado's configurable classes use this in place of `__init__`."""
        self._lookup = lookup
        self._cache: dict[tuple[str, int], _CachedName] = {}

    def close(self) -> None:
        """Stop waiting for lookups. Those in progress end by themselves."""
        for known in self._cache.values():
            known.lookup_done(OSError(errno.ECANCELED, "nobody looks names up any more"))

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Address]:
        """Return the addresses of `host`, at least one.

        Raises OSError; socket.gaierror if it has none.

        This may take as long as `getaddrinfo` does, so callers set a timeout.
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
        """Wait until there is an address to try, or all lookups have failed."""
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
        """Return what is known of a name in one family, and begin a lookup if that is outdated."""
        known = self._cache.setdefault((host, family), _CachedName(host))
        if known.lookup is None and not known.is_fresh:
            loop = asyncio.get_running_loop()
            known.begin(loop.create_future())
            thread = threading.Thread(
                target=self._look_up,
                args=(loop, known, host, family),
                name="lookup",
                daemon=True,  # the process can end while a name server does not respond
            )
            try:
                thread.start()
            except RuntimeError:  # the system cannot start another thread
                known.lookup_done(OSError(errno.EAGAIN, "no thread for a lookup"))
        return known

    def _look_up(
        self, loop: asyncio.AbstractEventLoop, known: "_CachedName", host: str, family: int
    ) -> None:
        """Look a name up, in a thread of its own."""
        found: list[Any] | Exception
        try:
            found = self._lookup(host, None, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            found = error
        except Exception as error:  # or else this name would never be looked up again
            log.error(LogEvent("lookup failed", name=host), exc_info=error)
            found = OSError(errno.EIO, "the lookup failed")
        with suppress(RuntimeError):  # the event loop is closed, and nothing waits for the result
            loop.call_soon_threadsafe(known.lookup_done, found)


class _CachedName:
    """The cached addresses of a name in one address family, and the state of its lookups."""

    def __init__(self, host: str) -> None:
        self.lookup: asyncio.Future[None] | None = None
        self.hosts: list[tuple[int, tuple[Any, ...]]] = []  # family, and an address without a port
        self.error: Exception | None = None
        self._host = host
        self._asked_at = 0.0  # by the event loop's clock, as all times here
        self._fresh_until = 0.0
        self._outage_logged = False

    def begin(self, lookup: asyncio.Future[None]) -> None:
        """Note that a lookup begins."""
        self.lookup = lookup
        self._asked_at = asyncio.get_running_loop().time()

    @property
    def is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() < self._fresh_until

    @property
    def is_outdated(self) -> bool:
        """Whether the result is older than the lookup in progress or the one that failed last."""
        return self.lookup is not None or self.error is not None

    @property
    def silent_seconds(self) -> float:
        """How many seconds the lookup in progress has had no response; 0 if none is in progress."""
        if self.lookup is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._asked_at

    @property
    def is_failing(self) -> bool:
        """Whether the last lookup failed, or the one in progress has had no response for too
        long.
        """
        is_silent = self.lookup is not None and self.silent_seconds >= _OUTAGE_SECONDS
        return is_silent or self.error is not None

    def addresses(self, port: int) -> Iterator[Address]:
        for family, (host, _, *rest) in self.hosts:
            yield family, (host, port, *rest)

    def lookup_done(self, found: list[Any] | Exception) -> None:
        """Note the result of a lookup that has ended."""
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
            log.warning(
                LogEvent(
                    "the name server does not respond, old addresses are used", name=self._host
                )
            )


def _error_of(known: list[_CachedName]) -> Exception:
    """Return the error of a name's lookups; a failed name server goes before a family without
    addresses.

    It is a copy: an error that is raised many times would keep all the tracebacks.
    """
    errors = [each.error for each in known if each.error is not None]
    errors.sort(key=_means_no_address)
    return copy.copy(errors[0]) if errors else socket.gaierror(socket.EAI_NONAME, "no address")


def _means_no_address(error: Exception) -> bool:
    """Whether the error means that the name has no address, as one has none that cannot be
    encoded.
    """
    if isinstance(error, socket.gaierror):
        return error.errno not in _NAME_SERVER_FAILED
    return isinstance(error, UnicodeError)


def _literal(host: str, port: int) -> Address | None:
    """Return the address if `host` is one already; None if it has to be looked up."""
    address, _, zone = host.partition("%")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return None
    if version == 4:
        return socket.AF_INET, (host, port)
    if zone:  # a scoped address names an interface, whose number only the system knows
        return None
    return socket.AF_INET6, (host, port, 0, 0)
