"""A question as it is asked, and the two messages that it becomes."""

import hashlib
import secrets
from typing import NamedTuple

import msgspec

from model.blocks import Block, TextBlock, chars_in
from model.messages import Conversation, Message, Role, Status, now
from model.prompt import Prompt, Turn, merged
from relay.answer import Answer
from relay.model_access import AllowedModels
from relay.usage import estimate
from storage.values import IdempotencyKey


class Caller(msgspec.Struct, frozen=True):
    """The request that asked, as log and traces name it."""

    request_id: str = "-"
    traceparent: str = ""  # as W3C's Trace Context has it: of which trace it is a part


class AskRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question, in the client's own words. Without a conversation it begins one.

    `parts` are what it carries besides its text. It goes on from the answer `parent_id`, from
    nothing if that is None, and from the newest answer if it is UNSET. With `question_id` it is
    kept already, and this asks for one more answer to it. `grace_seconds` is as in `Generation`;
    unset, the server's settings decide. `idempotency_key` is the client's name for the question,
    under which it may be asked again. Who calls, and which models are `allowed` to them, is no part
    of what is asked.

    Two things a client protocol chooses. Whose history it has: the store's branch, or the turns of
    `history`, which came with it. And what is kept: without `store` neither question nor answer is
    stored; the answer lives in this process's memory, no other process finds it, and it is over
    when its last reader leaves.
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
    # The first stage called it so, and it is part of the fingerprint.
    grace_seconds: float | msgspec.UnsetType | None = msgspec.field(
        default=msgspec.UNSET, name="patience"
    )
    idempotency_key: str | None = None
    caller: Caller | None = None
    # Behind all that the first stage has, and left out unless they are set: a key that stands for
    # a question at one process of a rolling restart stands for it at the other, too.
    parts: tuple[Block, ...] = ()
    history: tuple[Turn, ...] | None = None
    store: bool = True
    allowed: AllowedModels = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All of what is asked."""
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
        """What the store knows the key by: the user's, and of one length."""
        return _digest(f"{self.user}\0{self.idempotency_key}".encode())

    @property
    def fingerprint(self) -> str:
        """The same for every try of one question, and for no other question."""
        asked = msgspec.structs.replace(self, idempotency_key=None, caller=None, allowed=None)
        return _digest(msgspec.json.encode(asked))

    def stored_key(self, answer: Message) -> IdempotencyKey | None:
        """The key as it is kept with `answer`, if there is one."""
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
        """The system prompt: the question's own, else the conversation's; an empty one is none."""
        return (conversation.system if self.system is None else self.system) or None

    def chars_in(self, conversation: Conversation) -> int:
        """How long the question is, with its system prompt."""
        carried = sum(map(chars_in, self.parts))
        return len(self.content) + carried + len(self.system_in(conversation) or "")

    def prompt(self, model: str, conversation: Conversation, history: tuple[Turn, ...]) -> Prompt:
        """What goes to the provider."""
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
    """What comes of a question: its answer, and whether that was begun just now.

    It was not if the question's key was used before. Then it may have been read, too.
    """

    answer: Answer
    is_new: bool


def new_conversation(request: AskRequest) -> Conversation:
    """The conversation that a question without one begins."""
    begun = now()
    return Conversation(
        id=secrets.token_hex(16),
        user=request.user,
        model=request.model,
        system=request.system,
        created_at=begun,
        updated_at=begun,
    )


def messages(
    request: AskRequest,
    conversation_id: str,
    parent_id: str | None,
    model: str,
    prompt: Prompt,
    process: str,
) -> tuple[Message | None, Message]:
    """The question, unless it is kept already, and the answer before its first token."""
    asked = now()
    question = None
    if request.question_id is None:
        question = Message(
            id=_message_id(conversation_id),
            conversation_id=conversation_id,
            user=request.user,
            role=Role.USER,
            parent_id=parent_id,
            blocks=request.blocks,
            created_at=asked,
            ended_at=asked,
        )
    answer = Message(
        id=_message_id(conversation_id),
        conversation_id=conversation_id,
        user=request.user,
        role=Role.ASSISTANT,
        parent_id=request.question_id if question is None else question.id,
        model=model,
        status=Status.LIVE,
        usage=estimate(prompt, ()),  # what is known should this process die
        owner=process,
        created_at=asked,
    )
    return question, answer


def _message_id(conversation_id: str) -> str:
    """Begins with the conversation's, so that a message is found by its id on one shard."""
    return f"{conversation_id}-{secrets.token_hex(16)}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
