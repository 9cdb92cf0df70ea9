"""What tests do with several servers on one database, each a process of its own."""

import asyncio
from typing import Any

from tests.launching import Launched
from tests.mongod import Stored
from tests.readers import Connection, Reader, call
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

GRACE = {"grace": 0.5}


def conversation(reader: Reader) -> str:
    """The path of the conversation that is read."""
    return f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"


async def last_message(url: str, path: str) -> dict[str, Any]:
    message: dict[str, Any] = (await call(url, "GET", f"{path}/messages")).body["data"][-1]
    return message


async def asked_again(url: str, reader: Reader) -> str:
    """The text of the answer to a new question in the conversation that is read."""
    body = {"content": "go on"}
    answered = await call(url, "POST", f"{conversation(reader)}/messages", body, headers=JSON)
    assert 200 == answered.status
    text: str = answered.body["blocks"][0]["text"]
    return text


async def read_elsewhere(other: Launched, reader: Reader, text: str) -> Reader:
    """A second reader of the answer, who has read `text`: so it is stored."""
    await reader.start()
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text(text)
    return back


async def followed(stored: Stored, reader: Reader) -> str:
    """Wait until the owner can know of a reader elsewhere; the process where that one is."""
    owner = stored.message(reader.answer_id)["owner"]
    while not (wanting := await asyncio.to_thread(stored.wanting, owner)):
        pass  # each look is a request
    return wanting[0]


async def grace_is_over(owner: Launched, upstream: ScriptedUpstream) -> None:
    """Wait until the grace period of readers that disconnected before this call has passed."""
    number = len(upstream.requests)
    reader = await Reader.ask(owner.url, on_disconnect=GRACE)
    request = await upstream.request(number)
    reader.close()
    await request.closed.wait()


async def refused(url: str) -> None:
    """Wait until nobody listens."""
    while True:
        try:
            connection = await Connection.open(url)
        except (ConnectionRefusedError, ConnectionResetError):  # reset: while it was closing
            return
        connection.close()


def next_question_is_answered(upstream: ScriptedUpstream, text: str) -> None:
    upstream.next_request()
    upstream.tokens(text)
    upstream.finish()
