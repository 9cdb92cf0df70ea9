"""Generations made for a test, of a source that the test drives."""

import asyncio

from model.messages import Role
from model.prompt import Prompt, text_turn
from relay.admission import Slot
from relay.answer import Answer
from relay.ask_request import Caller
from relay.delta_intake import DeltaIntake
from relay.generation import Generation
from relay.models import Source
from relay.pacing import Pacer
from relay.reader_timeout import Peers, ReaderTimeout, UnreadAnswers
from relay.timeline import Timeline
from relay.upstream_call import UpstreamCall

PROMPT = Prompt(model="m", turns=(text_turn(Role.USER, "q"),))


class NoPeers:
    """No other process: nobody reads anything there."""

    async def poll(self) -> None:
        """Nothing changes."""


def generation_of(
    source: Source,
    *,
    grace_seconds: float | None = 0.0,
    max_chars: int = 1000,
    peers: Peers | None = None,
) -> Generation:
    """One that is stored nowhere, and whose question has left."""
    answer, timeline = Answer("c-a", "c", "c-q", "openai/m"), Timeline()
    intake = DeltaIntake(answer, timeline, Pacer(0, ()), max_chars=max_chars)
    upstream = UpstreamCall(source, PROMPT, intake, timeline, name="upstream")
    upstream.send()
    unread = UnreadAnswers(peers or NoPeers())
    return Generation(
        answer,
        PROMPT,
        user="local",
        provider=source.name,
        caller=Caller(),
        slot=Slot("local", asyncio.get_running_loop().time()),
        timeline=timeline,
        intake=intake,
        upstream=upstream,
        reader_timeout=ReaderTimeout(answer, upstream, grace_seconds, unread),
    )


async def over(generation: Generation) -> Generation:
    """The same, when its upstream call is over."""
    done = asyncio.Event()
    generation.upstream.when_over(done.set)
    await done.wait()
    return generation
