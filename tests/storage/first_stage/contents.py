"""What the first-stage server had stored when it died: two users', and all that becomes of answers.

Part of `making.py`, which puts first-stage code on the path: nothing else may import this. Ids are
fixed and the clock stands still between its steps, so the same comes out whenever it is made.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import storage.base as base
from storage.base import (
    ApiKey,
    Block,
    Chunk,
    Conversation,
    Count,
    Ending,
    Failure,
    Message,
    Piece,
    ReasoningBlock,
    Span,
    Status,
    Storage,
    TextBlock,
    Timing,
    ToolCallBlock,
    Usage,
    Wants,
)

from auth import keys
from providers.errors import RateLimited
from relay.asking import Asking, messages, new_conversation, title
from relay.errors import StorageUnavailable

# The process that stored all this and died, and one whose answer it had a reader for.
PROCESS = "0f" * 16
ANOTHER_PROCESS = "0e" * 16

BEGAN_AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

USERS = ("alice", "bob")

CONVERSATIONS = {
    "tree": "a1" * 16,  # alice's: all branches and endings
    "cut_off": "a2" * 16,  # alice's: its answer is live
    "empty": "b1" * 16,  # bob's: nothing was asked in it
    "keyed": "b2" * 16,  # bob's: asked under an idempotency key
}


def _message(conversation: str, its_part: str) -> str:
    return f"{CONVERSATIONS[conversation]}-{its_part * 16}"


ANSWERS = {
    "complete": _message("tree", "e1"),
    "regenerated": _message("tree", "e2"),  # beside `complete`
    "failed": _message("tree", "e3"),  # to the edited question
    "stopped": _message("tree", "e4"),
    "abandoned": _message("tree", "e5"),
    "interrupted": _message("tree", "e6"),
    "orphan": _message("cut_off", "e7"),  # live
    "keyed": _message("keyed", "e8"),
}

# What bob's client sent as `Idempotency-Key`, and asked.
IDEMPOTENCY_KEY = "a key of the first stage"
KEYED_QUESTION = "Which key opens this? 🔑"

# Whole keys, by whose they are and how they stand. They open nothing but these fixtures.
API_KEYS = {
    name: f"{keys.PREFIX}{letter * 16}_{letter * 32}"
    for name, letter in {
        "alice_admin": "a",
        "bob": "b",  # expires, in 2099
        "bob_expired": "c",
        "bob_revoked": "d",
    }.items()
}

# Days, no minutes: what was counted in a minute is forgotten before anybody looks.
DAY = BEGAN_AT.replace(hour=0)
SPANS = tuple(Span(user, "tokens", DAY, DAY + timedelta(days=1)) for user in USERS)


class Clock:
    """The `now` of the first version's server: it advances on request."""

    def __init__(self) -> None:
        self.at = BEGAN_AT

    def __call__(self) -> datetime:
        return self.at

    def go_on(self, **by: float) -> None:
        self.at += timedelta(**by)


class Stage:
    """A store that is filled as the relay does it."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def ask(
        self,
        answer: str,
        content: str,
        *,
        of: Conversation,
        new: bool = False,
        parent: str | None = None,
        key: str | None = None,
    ) -> None:
        """Have a question asked, whose `answer` is live from now on."""
        self._clock.go_on(minutes=1)
        asking = Asking(user=of.user, content=content, key=key)
        question, live = self._messages(asking, of, answer, parent and ANSWERS[parent])
        claimed = asking.idempotency_key(live)
        await self._storage.ask(
            question, live, title=title(content), new=of if new else None, key=claimed
        )

    async def ask_again(self, answer: str, *, beside: str, of: Conversation) -> None:
        """Have the question of an answer asked once more."""
        self._clock.go_on(minutes=1)
        first = await self._storage.message(of.user, ANSWERS[beside])
        assert first.parent_id is not None
        question = await self._storage.message(of.user, first.parent_id)
        (text,) = question.blocks
        assert isinstance(text, TextBlock)
        asking = Asking(user=of.user, content=text.text).as_kept(question)
        _, live = self._messages(asking, of, answer, question.parent_id)
        await self._storage.ask(None, live, title=title(text.text), new=None)

    async def save(self, answer: str, *ticks: tuple[Piece, ...]) -> None:
        """Have the growth of each tick saved."""
        position = 0
        for pieces in ticks:
            self._clock.go_on(seconds=1)
            await self._storage.append_chunks([Chunk(ANSWERS[answer], position, pieces)])
            position += sum(piece.length for piece in pieces)

    async def end(self, answer: str, status: Status, *blocks: Block, **fields: Any) -> None:
        """Have it end."""
        self._clock.go_on(seconds=2, milliseconds=345)
        ending = Ending(status=status, blocks=blocks, ended_at=self._clock(), **fields)
        assert await self._storage.end_answer(ANSWERS[answer], PROCESS, ending)

    def _messages(
        self, asking: Asking, of: Conversation, answer: str, parent_id: str | None
    ) -> tuple[Message | None, Message]:
        """What the relay makes of it, under ids of ours."""
        model = "demo/demo"
        prompt = asking.prompt("demo", of, ())
        question, live = messages(asking, of.id, parent_id, model, prompt, PROCESS)
        answer_id = ANSWERS[answer]
        if question is not None:
            question = msgspec.structs.replace(question, id=_question_of(answer_id))
            live = msgspec.structs.replace(live, parent_id=question.id)
        return question, msgspec.structs.replace(live, id=answer_id)


async def fill(storage: Storage, clock: Clock) -> None:
    """Store all of it."""
    stage = Stage(storage, clock)
    await _tree(storage, stage)
    await _others(storage, stage)
    await _keys_and_counts(storage)
    # It follows another process's answer that was deleted meanwhile. Whoever wants something of
    # others leaves its lease to run out when the store is closed, as one that died does.
    follows = frozenset({_message("empty", "ee")})
    assert await storage.renew_lease({ANOTHER_PROCESS: Wants(follows=follows)})


async def _tree(storage: Storage, stage: Stage) -> None:
    tree = Conversation(
        id=CONVERSATIONS["tree"],
        user="alice",
        title="水渠 🌊 and $where it.leads",
        model="demo/demo",
        system="Answer briefly. 请用中文回答。",
        metadata={"$where": "1", "a.b.$c": "dots.and.$", "项目": "引水渠 🌊", "": "no name"},
        created_at=base.now(),
        updated_at=base.now(),
    )
    await storage.create_conversation(tree)

    await stage.ask("complete", "今天杭州的天气怎么样?\nAnd in San José?", of=tree)
    thought = "The user asks for the weather 天气 in two places: 两次调用。"
    said = "我来查一下 🌦️👩‍🚀 e\u0301"
    hangzhou = '{"city": "杭州", "unit": "celsius"}'
    # What the model wrote is kept as it came: this is no JSON.
    san_jose = '{"city": "San Jos\\u00e9", '
    await stage.save(
        "complete",
        (Piece(0, "reasoning", thought[:20]),),
        (Piece(0, "reasoning", thought[20:]), Piece(1, "text", said)),
        (Piece(2, "tool_call", hangzhou, "call_hz", "get_weather"),),
    )
    await stage.end(
        "complete",
        Status.COMPLETE,
        ReasoningBlock(thought),
        TextBlock(said),
        ToolCallBlock("call_hz", "get_weather", hangzhou),
        ToolCallBlock("call_sj", "get_weather", san_jose),
        finish_reason="tool_calls",
        usage=Usage(41, 97),
        timing=Timing(first_token_ms=412, reasoning_ms=1803, total_ms=5345),
    )

    await stage.ask_again("regenerated", beside="complete", of=tree)
    await stage.end(
        "regenerated",
        Status.COMPLETE,
        TextBlock("I cannot look outside."),
        finish_reason="stop",
        usage=Usage(24, 6, estimated=True),
        timing=Timing(first_token_ms=388, reasoning_ms=None, total_ms=2345),
    )

    await stage.ask("failed", "今天苏州的天气怎么样? NUL:\0:", of=tree)
    await stage.end(
        "failed",
        Status.FAILED,
        usage=Usage(0, 0, estimated=True),
        timing=Timing(first_token_ms=None, reasoning_ms=None, total_ms=2345),
        error=Failure(RateLimited.code, str(RateLimited())),
    )

    await stage.ask("stopped", "And tomorrow?", of=tree, parent="complete")
    await stage.end(
        "stopped",
        Status.STOPPED,
        TextBlock("Tomorrow it will be"),
        usage=Usage(12, 5, estimated=True),
        timing=Timing(first_token_ms=290, reasoning_ms=None, total_ms=2345),
    )

    await stage.ask("abandoned", "Then guess.", of=tree, parent="regenerated")
    await stage.end(
        "abandoned",
        Status.ABANDONED,
        ReasoningBlock("A guess, then:"),
        usage=Usage(11, 4, estimated=True),
        timing=Timing(first_token_ms=301, reasoning_ms=2044, total_ms=2345),
    )

    await stage.ask("interrupted", "And the day after?", of=tree, parent="stopped")
    await stage.end(
        "interrupted",
        Status.INTERRUPTED,
        TextBlock("The day after 后天"),
        usage=Usage(13, 5, estimated=True),
        timing=Timing(first_token_ms=277, reasoning_ms=None, total_ms=2345),
        error=Failure(StorageUnavailable.code, str(StorageUnavailable())),
    )


async def _others(storage: Storage, stage: Stage) -> None:
    begun = base.now()
    empty = Conversation(id=CONVERSATIONS["empty"], user="bob", created_at=begun, updated_at=begun)
    await storage.create_conversation(empty)

    keyed = _begun("keyed", "bob", KEYED_QUESTION)
    await stage.ask("keyed", KEYED_QUESTION, of=keyed, new=True, key=IDEMPOTENCY_KEY)
    await stage.end(
        "keyed",
        Status.COMPLETE,
        TextBlock("This one 🗝️, for a day."),
        finish_reason="stop",
        usage=Usage(9, 8),
        timing=Timing(first_token_ms=150, reasoning_ms=None, total_ms=2345),
    )

    question = "How long is the headrace 引水渠 of a mill, and who digs it?"
    cut_off = _begun("cut_off", "alice", question)
    await stage.ask("orphan", question, of=cut_off, new=True)
    await stage.save(
        "orphan",
        (Piece(0, "reasoning", "Mills differ 🌊; "),),
        (Piece(0, "reasoning", "look it up."), Piece(1, "text", "我查一下 👩‍🚀")),
        (Piece(1, "text", ": a moment"), Piece(2, "tool_call", "", "call_1", "search")),
        (Piece(2, "tool_call", '{"words": "水'),),
        (
            Piece(2, "tool_call", '渠"}'),
            Piece(3, "tool_call", '{"unit', "call_2", "measure"),
        ),
    )


async def _keys_and_counts(storage: Storage) -> None:
    begun = base.now()
    for name, text in API_KEYS.items():
        user, _, standing = name.partition("_")
        expires_at = {"": begun.replace(year=2099), "expired": begun + timedelta(days=1)}
        key = ApiKey(
            id=keys.id_of(text),
            digest=keys.digest(text),
            user=user,
            admin=standing == "admin",
            note=f"{name}: 水渠 key",
            created_at=begun,
            expires_at=expires_at.get(standing),
        )
        await storage.create_api_key(key)
    await storage.revoke_api_key(keys.id_of(API_KEYS["bob_revoked"]), begun + timedelta(hours=1))

    # Each start of a server counts for itself: alice's tokens are two counts, taken together.
    alices, bobs = SPANS
    await storage.share_counts(
        [
            Count(alices, "01" * 8, 138),
            Count(alices, "02" * 8, 4000),
            Count(bobs, "01" * 8, 17),
        ]
    )


def _begun(name: str, user: str, content: str) -> Conversation:
    """A conversation that is begun by a question."""
    begun = new_conversation(Asking(user=user, content=content))
    return msgspec.structs.replace(begun, id=CONVERSATIONS[name])


def _question_of(answer_id: str) -> str:
    """The question that was stored with an answer."""
    conversation_id, _, its_part = answer_id.rpartition("-")
    return f"{conversation_id}-{its_part.replace('e', 'c')}"
