"""What a client protocol chooses of an ask: whose history it has, what it carries, what is kept."""

import asyncio
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tornado.ioloop import IOLoop

from model.blocks import ImageBlock, ProviderData, ReasoningBlock, TextBlock
from model.messages import Role, Status
from model.prompt import Prompt, text_turn
from relay.answer import Answer
from relay.answer_record import AnswerRecord
from relay.ask_request import AskRequest
from relay.errors import UnsupportedContent
from relay.models import Models
from relay.relay import Relay
from storage.errors import NotFound
from storage.sqlite.store import SQLiteStorage
from tests.relay.relays import LIMITS
from tests.relay.scripted_source import ScriptedSource


class Place:
    """A relay on a file of its own, and its source."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[AnswerRecord] = []

    async def open(self) -> None:
        self.source = ScriptedSource()
        self.storage = SQLiteStorage(self.path, secrets.token_hex(16))
        await self.storage.open()
        limits = msgspec.structs.replace(LIMITS, max_unsent_bytes=1000, checkpoint_seconds=1.0)
        models = Models({"scripted": self.source}, "scripted/m")
        self.relay = Relay(self.storage, models, limits, self.told.append)
        await self.relay.open()

    async def close(self) -> None:
        await self.relay.close()
        await self.storage.close()

    def rows(self) -> int:
        """How much the file holds, of conversations and all that belongs to them."""
        tables = ("conversations", "messages", "chunks", "idempotency_keys")
        with sqlite3.connect(self.path) as database:
            return sum(
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables
            )

    async def whole(self, answer: Answer, text: str) -> None:
        """Have the answer say `text` and end, and read it to its end."""
        with self.relay.reader(answer) as reader:
            await self.source.asked.wait()
            self.source.say(text)
            self.source.end()
            await reader.ended()
        await self.relay.idle()
        self.source.asked.clear()
        self.source.ends.clear()


@pytest.fixture
def place(io_loop: IOLoop, tmp_path: Path) -> Iterator[Place]:
    opened = Place(tmp_path / "headrace.db")
    io_loop.run_sync(opened.open)
    yield opened
    io_loop.run_sync(opened.close)


@pytest.mark.gen_test
async def test_what_is_not_kept_is_read_and_leaves_nothing(place: Place) -> None:
    answer, _ = await place.relay.ask(
        AskRequest(user="u", content="q", idempotency_key="k", store=False)
    )
    with place.relay.reader(answer) as reader:
        await place.source.asked.wait()
        place.source.say("hello")
        pieces = await reader.growth()
        place.source.end()
        ending = await reader.ended()

    assert pieces is not None
    assert ["hello"] == [piece.text for piece in pieces]
    assert ending is not None
    assert Status.COMPLETE is ending.status
    await place.relay.idle()
    assert 0 == place.rows()
    with pytest.raises(NotFound):
        await place.relay.answer("u", answer.id)
    assert [Status.COMPLETE] == [told.status for told in place.told]


@pytest.mark.gen_test
async def test_leaving_what_is_not_kept_cancels_it_whatever_the_settings_say(place: Place) -> None:
    answer, _ = await place.relay.ask(
        AskRequest(user="u", content="q", store=False, grace_seconds=None)
    )
    with place.relay.reader(answer):
        await place.source.asked.wait()
    async with asyncio.timeout(5):
        await place.source.left.wait()
        await place.relay.idle()

    assert answer.ending is not None
    assert Status.ABANDONED is answer.ending.status
    assert 0 == place.rows()


@pytest.mark.gen_test
async def test_given_messages_are_asked_in_place_of_the_stores(place: Place) -> None:
    first, _ = await place.relay.ask(AskRequest(user="u", content="stored"))
    await place.whole(first, "kept")
    given = (
        text_turn(Role.USER, "one"),
        text_turn(Role.ASSISTANT, "two"),
        text_turn(Role.USER, "three"),
    )
    request = AskRequest(
        user="u", content="four", conversation_id=first.conversation_id, history=given
    )
    answer, _ = await place.relay.ask(request)
    await place.whole(answer, "five")

    assert [("user", "one"), ("assistant", "two"), ("user", "three\n\nfour")] == [
        (turn.role, turn.text) for turn in place.source.prompts[-1].turns
    ]
    kept = await place.storage.messages("u", first.conversation_id, limit=9, before=None)
    assert ["stored", "kept", "four", "five"] == [message.text for message in kept.data]


@pytest.mark.gen_test
async def test_the_stores_branch_can_be_asked_on_without_keeping(place: Place) -> None:
    first, _ = await place.relay.ask(AskRequest(user="u", content="stored"))
    await place.whole(first, "kept")
    before = place.rows()
    request = AskRequest(user="u", content="q", conversation_id=first.conversation_id, store=False)
    answer, _ = await place.relay.ask(request)
    await place.whole(answer, "gone")

    assert ["stored", "kept", "q"] == [turn.text for turn in place.source.prompts[-1].turns]
    assert before == place.rows()


@pytest.mark.gen_test
async def test_parts_are_asked_kept_and_asked_again(place: Place) -> None:
    parts = (ImageBlock(url="https://example.org/a.png"), TextBlock("and that?"))
    answer, _ = await place.relay.ask(AskRequest(user="u", content="q", parts=parts))
    await place.whole(answer, "yes")
    again, _ = await place.relay.ask(await place.relay.regenerate_request("u", answer.id))
    await place.whole(again, "once more")

    for prompt in place.source.prompts:
        assert (TextBlock("q"), *parts) == prompt.turns[-1].blocks
    kept = await place.storage.messages("u", answer.conversation_id, limit=9, before=None)
    assert (TextBlock("q"), *parts) == kept.data[0].blocks


@pytest.mark.gen_test
async def test_what_a_source_does_not_take_is_refused_before_anything_is_kept(
    place: Place,
) -> None:
    place.source.taken = frozenset({"tool_result"})
    with pytest.raises(UnsupportedContent):
        await place.relay.ask(AskRequest(user="u", content="q", parts=(ImageBlock(url="x"),)))

    assert (0, 0) == (place.rows(), len(place.relay.live_answers))


@pytest.mark.gen_test
async def test_a_question_is_not_refused_for_an_image_of_an_unanswered_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = ImageBlock(url="https://example.org/a.gif")
    unanswered, _ = await place.relay.ask(AskRequest(user="u", content="q", parts=(image,)))
    await place.whole(unanswered, "")
    checked: list[Prompt] = []
    monkeypatch.setattr(place.source, "check", checked.append)

    again = AskRequest(user="u", content="again", conversation_id=unanswered.conversation_id)
    answer, _ = await place.relay.ask(again)
    await place.whole(answer, "yes")

    assert (TextBlock("again"),) == checked[0].turns[-1].blocks
    [sent] = place.source.prompts[-1].turns
    assert (TextBlock("q"), image, TextBlock("again")) == sent.blocks


@pytest.mark.gen_test
async def test_a_providers_data_is_kept_with_its_block_and_moves_the_position(
    place: Place,
) -> None:
    answer, _ = await place.relay.ask(AskRequest(user="u", content="q"))
    data = ProviderData("scripted", "m", {"signature": "$.x"})
    with place.relay.reader(answer) as reader:
        await place.source.asked.wait()
        sink = place.source.sinks[-1]
        sink.reasoning("hm")
        sink.data(data)
        sink.text("yes")
        place.source.end()
        await reader.ended()
    await place.relay.idle()

    kept = await place.storage.message("u", answer.id)
    assert (ReasoningBlock("hm", data), TextBlock("yes")) == kept.blocks
    assert 6 == kept.position == answer.position
