"""A question to ask with its options, and what asking it returns."""

import hashlib
from typing import NamedTuple

import msgspec

from model.blocks import Block, TextBlock, chars_in
from model.messages import Conversation, Message, Role
from model.prompt import Prompt, Turn, merged
from relay.answer import Answer
from relay.model_access import AllowedModels
from storage.values import IdempotencyKey


class Caller(msgspec.Struct, frozen=True):
    """The request that asked, as log and traces describe it."""

    request_id: str = "-"
    traceparent: str = ""  # W3C's Trace Context: the trace that the request is part of


class AskRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question and its options. Without a conversation it creates one.

    `parts` are its content besides text. It follows the answer `parent_id`, nothing if that is
    None, and the newest answer if it is UNSET. With `question_id` the question is stored already,
    and another answer to it is generated. `grace_seconds` is as in `ReaderTimeout`; UNSET means
    the server's settings. `idempotency_key` is the client's key for the question. `caller` and the
    `allowed` models are not part of the question.

    A client protocol may choose two more things. `history` are turns that came with the question,
    in place of the store's branch. Without `store` neither question nor answer is stored: the
    answer is in this process' memory, no other process finds it, and it ends when its last reader
    disconnects.
    """

    user: str
    content: str
    conversation_id: str | None = None
    parent_id: str | msgspec.UnsetType | None = msgspec.UNSET
    question_id: str | None = None
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    # The first version's name of the field, which is part of the fingerprint.
    grace_seconds: float | msgspec.UnsetType | None = msgspec.field(
        default=msgspec.UNSET, name="patience"
    )
    idempotency_key: str | None = None
    caller: Caller | None = None
    # These come after the first version's fields and are left out unless they are set, so that both
    # versions in a rolling restart compute the same fingerprint.
    parts: tuple[Block, ...] = ()
    history: tuple[Turn, ...] | None = None
    store: bool = True
    allowed: AllowedModels = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The content of the question: its parts and its text."""
        return (*((TextBlock(self.content),) if self.content else ()), *self.parts)

    def regenerating(self, question: Message) -> "AskRequest":
        """The same for a question that is stored already, which is to get one more answer."""
        return msgspec.structs.replace(
            self,
            conversation_id=question.conversation_id,
            parent_id=question.parent_id,
            question_id=question.id,
        )

    @property
    def idempotency_key_id(self) -> str:
        """The id of the idempotency key in the store: a hash of the user and the key."""
        return _digest(f"{self.user}\0{self.idempotency_key}".encode())

    @property
    def fingerprint(self) -> str:
        """A hash of the question: equal for each retry, and different for any other question."""
        asked = msgspec.structs.replace(self, idempotency_key=None, caller=None, allowed=None)
        return _digest(msgspec.json.encode(asked))

    def stored_key(self, answer: Message) -> IdempotencyKey | None:
        """The idempotency key as it is stored with `answer`; None without a key."""
        if self.idempotency_key is None:
            return None
        return IdempotencyKey(
            id=self.idempotency_key_id,
            user=self.user,
            fingerprint=self.fingerprint,
            answer_id=answer.id,
            created_at=answer.created_at,
        )

    def system_in(self, conversation: Conversation) -> str | None:
        """The system prompt: the question's own, else the conversation's; None if it is empty."""
        return (conversation.system if self.system is None else self.system) or None

    def chars_in(self, conversation: Conversation) -> int:
        """The length of the question and its system prompt in characters."""
        carried = sum(map(chars_in, self.parts))
        return len(self.content) + carried + len(self.system_in(conversation) or "")

    def prompt(self, model: str, conversation: Conversation, history: tuple[Turn, ...]) -> Prompt:
        """The prompt for the provider."""
        return Prompt(
            model=model,
            turns=merged((*history, Turn(Role.USER, self.blocks))),
            system=self.system_in(conversation),
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=self.stop,
        )


class AskResult(NamedTuple):
    """The answer to a question, and whether this request started it.

    An earlier request started it if the idempotency key was used before; the client may have
    received a part of it then.
    """

    answer: Answer
    is_new: bool


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
