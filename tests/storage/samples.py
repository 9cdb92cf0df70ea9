"""Conversations, questions and answers for storage tests, made as the relay makes them."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

import msgspec

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
)
from model.growth import Chunk, Piece
from model.messages import ClientData, Conversation, Ending, Message, Status, now
from model.usage import Usage
from storage.contract import Storage
from storage.values import (
    ApiKey,
    IdempotencyKey,
    StoredFile,
    UsageCount,
    UsageSpan,
    WebhookDelivery,
)

# Four bytes in UTF-8 and two units in UTF-16, several code points that show as one, and what
# databases trip on.
TEXT = '急がば回れ 🚀 👩‍🚀 e\u0301 \u2028 $where: {"$gt": 1} a.b \'; -- %s NUL:\0:'

# What a provider may want back: whatever JSON can say, under keys of its own.
DATA = ProviderData(
    "anthropic", "claude", {"$x": [1, 2**70, -0.5, None, True], "a.b": {"": "\0"}, "_id": TEXT}
)

# How a fail point has a write end: carried out, but whether a majority has it is unknown.
UNKNOWN = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}


def conversation(user: str = "alice", **fields: Any) -> Conversation:
    """A new conversation."""
    begun = now()
    known = {"id": secrets.token_hex(16), "user": user, "created_at": begun, "updated_at": begun}
    return Conversation(**known | fields)


def count(user: str = "alice", *, amount: int = 1, writer: str = "0a" * 8, **of: Any) -> UsageCount:
    """What a writer counted in this minute."""
    begins_at = now().replace(second=0, microsecond=0)
    known = {"what": "questions", "begins_at": begins_at, "ends_at": begins_at + timedelta(hours=1)}
    return UsageCount(UsageSpan(user, **known | of), writer, amount)


def exchange(
    of: Conversation,
    *,
    owner: str,
    text: str = "What is a headrace?",
    parent_id: str | None = None,
    client: ClientData | None = None,
) -> tuple[Message, Message]:
    """A question in a conversation, and its live answer."""
    asked = now()
    question = Message(
        id=f"{of.id}-{secrets.token_hex(16)}",
        conversation_id=of.id,
        user=of.user,
        role="user",
        parent_id=parent_id,
        blocks=(TextBlock(text),),
        created_at=asked,
        ended_at=asked,
    )
    answer = Message(
        id=f"{of.id}-{secrets.token_hex(16)}",
        conversation_id=of.id,
        user=of.user,
        role="assistant",
        parent_id=question.id,
        model="demo/demo",
        status=Status.LIVE,
        usage=Usage(7, 0, estimated=True),
        client=client,
        owner=owner,
        created_at=asked,
    )
    return question, answer


def stored_file(of: Conversation, data: bytes = b"\x89PNG", **fields: Any) -> StoredFile:
    """An image of a question in a conversation."""
    known = {
        "id": f"{of.id}-{secrets.token_hex(16)}",
        "user": of.user,
        "media_type": "image/png",
        "created_at": now(),
    }
    return StoredFile(data=data, **known | fields)


def with_files(question: Message, *files: StoredFile) -> Message:
    """The question, with these images before its text."""
    images = [
        ImageBlock(file_id=each.id, media_type=each.media_type, size=len(each.data))
        for each in files
    ]
    return msgspec.structs.replace(question, blocks=(*images, *question.blocks))


def beside(answer: Message, *, owner: str) -> Message:
    """One more answer to the question of `answer`, live."""
    again = f"{answer.conversation_id}-{secrets.token_hex(16)}"
    return msgspec.structs.replace(answer, id=again, owner=owner, created_at=now())


def key(answer: Message, name: str = "a client's key", **fields: Any) -> IdempotencyKey:
    """A client's key that stands for an answer."""
    known = {
        "id": hashlib.sha256(f"{answer.user}\n{name}".encode()).hexdigest(),
        "user": answer.user,
        "fingerprint": "what was asked",
        "answer_id": answer.id,
        "created_at": answer.created_at,
    }
    return IdempotencyKey(**known | fields)


def api_key(key_id: str, user: str = "alice", **fields: Any) -> ApiKey:
    """A key by which a user enters."""
    return ApiKey(**{"id": key_id, "digest": "d" * 64, "user": user, "created_at": now()} | fields)


async def ask(
    storage: Storage, of: Conversation, *, owner: str | None = None, parent_id: str | None = None
) -> Message:
    """Have a question asked in a conversation that is kept; returns its live answer."""
    question, answer = exchange(of, owner=owner or storage.process, parent_id=parent_id)
    await storage.ask(question, answer, title="A title", new=None)
    return answer


async def begun(
    storage: Storage,
    user: str = "alice",
    *,
    owner: str | None = None,
    client: ClientData | None = None,
) -> Message:
    """Have a conversation begun; returns its first, live answer."""
    new = conversation(user)
    question, answer = exchange(new, owner=owner or storage.process, client=client)
    await storage.ask(question, answer, title="A title", new=new)
    return answer


async def clear(storage: Storage) -> int:
    """Clear all deleted conversations, as the relay does; returns how many batches it took."""
    batches = 0
    while (deletion := await storage.next_deletion()) is not None:
        batches += 1
        while await storage.purge(deletion):
            batches += 1
    return batches


def ending(*blocks: Block, status: Status = Status.COMPLETE, **fields: Any) -> Ending:
    """An answer's end."""
    return Ending(status=status, blocks=blocks, ended_at=now(), **fields)


def delivery(answer: Message, webhook: str = "a" * 32) -> WebhookDelivery:
    """What a webhook is to be told of the end of an answer."""
    return WebhookDelivery(
        webhook=webhook, answer_id=answer.id, event="response.completed", ended_at=now()
    )


def text_chunks(answer_id: str, *texts: str) -> list[Chunk]:
    """The chunks of an answer of one text block, saved whenever it had grown by one of `texts`."""
    chunks, position = [], 0
    for text in texts:
        chunks.append(Chunk(answer_id, position, (Piece(0, "text", text),)))
        position += len(text)
    return chunks


def chunks_of_every_kind(answer_id: str) -> list[Chunk]:
    """Growth of which most pieces have no text: each moves the position by one all the same."""
    image, file = ImageBlock(url="https://x/i"), FileBlock(file_id="f", name=TEXT)
    pieces = {
        0: Piece(0, "reasoning", "Hm"),
        2: Piece(0, "reasoning", "", data=DATA),
        3: Piece(1, "image", "", whole=image),
        4: Piece(2, "file", "", whole=file),
        5: Piece(3, "text", "b"),
        6: Piece(4, "tool_call", "", "call-1", "look"),
        7: Piece(4, "tool_call", "{}", data=DATA),
        10: Piece(5, "reasoning", "", data=DATA),
    }
    return [Chunk(answer_id, position, (piece,)) for position, piece in pieces.items()]


def blocks_of_every_kind() -> tuple[Block, ...]:
    """What those chunks add up to."""
    return (
        ReasoningBlock("Hm", DATA),
        ImageBlock(url="https://x/i"),
        FileBlock(file_id="f", name=TEXT),
        TextBlock("b"),
        ToolCallBlock("call-1", "look", "{}", DATA),
        ReasoningBlock("", DATA),
    )
