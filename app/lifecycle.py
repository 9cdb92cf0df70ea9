"""The life of the server's process: start, ready, serve, and drain at a signal."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from functools import partial

from app.background import cancel, keep_running
from app.composition import running
from app.memory import return_freed_memory, tune_garbage_collector
from app.server import Server
from settings import Settings
from sockets.acceptor import take_all_descriptors
from supervision import Supervisor
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace")


# Seconds within which a second signal does not count: a closed terminal sends two, by the kernel
# and by its shell, and systemd ends a session by SIGTERM and SIGHUP at once.
_ONE_HANGUP_SECONDS = 0.2


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain; a second signal ends the draining."""
    stopping, cut_short = asyncio.Event(), asyncio.Event()

    last, last_at = 0, float("-inf")

    def signalled(number: int) -> None:
        nonlocal last, last_at
        is_one = signal.SIGHUP in (last, number) and loop.time() < last_at + _ONE_HANGUP_SECONDS
        last, last_at = number, loop.time()
        if not is_one:
            (cut_short if stopping.is_set() else stopping).set()

    take_all_descriptors()
    return_freed_memory()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled, number)
    # SIGHUP comes from a closed terminal; there is nothing to reload. Under nohup it stays ignored.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, signalled, signal.SIGHUP)
    supervisor = Supervisor()
    async with AsyncExitStack() as stack:
        notifying = asyncio.create_task(keep_running(supervisor.keep_notifying))
        stack.push_async_callback(cancel, notifying)
        server = await stack.enter_async_context(running(settings))
        tune_garbage_collector()
        if server.metrics_url is not None:
            log.info("metrics at %s", server.metrics_url)
        print(f"Headrace is ready at {server.url}", flush=True)
        supervisor.ready(partial(_in_words, server, "serving"))
        await stopping.wait()
        supervisor.stopping(partial(_in_words, server, "draining"))
        log.info(LogEvent("draining", live_answers=len(server.relay.live_answers)))
        await server.drain(settings.relay.drain_seconds, cut_short=cut_short)
        log.info(LogEvent("stopping", live_answers=len(server.relay.live_answers)))


def _in_words(server: Server, what: str) -> str:
    """The state of the server, for `systemctl status`."""
    live, readers = len(server.relay.live_answers), server.event_streams.open_count
    return f"{what} {live} live answer{'s' * (live != 1)} to {readers} reader{'s' * (readers != 1)}"
