"""A question to ask with its options, and what asking it returns."""

import hashlib
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from model.blocks import Block, TextBlock, chars_in
from model.messages import ClientData, Conversation, Message, Role
from model.prompt import (
    FileContent,
    Prompt,
    ReasoningEffort,
    ResponseFormat,
    Tool,
    ToolChoice,
    Turn,
    merged,
)
from relay.answer import Answer
from relay.model_access import AllowedModels
from relay.question_files import NewFile
from relay.tool_loop import answered, results_in
from storage.values import IdempotencyKey


class Caller(msgspec.Struct, frozen=True):
    """The request that asked, as log and traces describe it."""

    request_id: str = "-"
    traceparent: str = ""  # W3C's Trace Context: the trace that the request is part of


class AskRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question and its options. Without a conversation it creates one.

    Its content is the text `content`; if it has anything else, it is `parts`, texts included. It
    follows the answer `parent_id`, nothing if that is None, and the newest answer if it is UNSET.
    With `question_id` the question is stored already, and another answer to it is generated.
    `grace_seconds` is as in `ReaderTimeout`; UNSET means the server's settings. `idempotency_key`
    is the client's key for the question. `caller` and the `allowed` models are not part of the
    question.

    With `creates_conversation` the conversation `conversation_id` is created if there is none: an
    id that a client protocol made of the client's own.

    Without `keeps_system` the system prompt is this question's own; a new conversation has none.

    A client protocol may choose some more things. `client` is stored with the answer. `history`
    are turns that came with the question, in place of the store's branch, and `system_after` is
    what of `system` came behind it. Without `store` neither question nor answer is stored: the
    answer is in this process' memory, no other process finds it, unless the client may send it
    again it ends when its last reader disconnects.

    A client may send a question again. `idempotency_key` says which question it is; else
    `sdk_retry` is how often the client's SDK says that it has sent this request before. None says
    nothing of it. `identity` is then a hash of the request that was sent; of the native API, which
    has none, the fields here are compared. `waits` is true for a client that reads nothing before
    the answer's end.
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
    # To these the image and file blocks in `parts` refer, by hashes of their contents.
    files: tuple[NewFile, ...] = ()
    creates_conversation: bool = False
    keeps_system: bool = True
    client: ClientData | None = None
    sdk_retry: int | None = None
    identity: str | None = None
    waits: bool = False
    system_after: tuple[str, ...] = ()
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: ReasoningEffort | None = None
    reasoning_budget: int | None = None
    response_format: ResponseFormat | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    extra: Mapping[str, Any] = {}

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The content of the question."""
        return (*((TextBlock(self.content),) if self.content else ()), *self.parts)

    @property
    def text(self) -> str:
        """The text of the question; empty if it has none."""
        texts = (block.text for block in self.parts if isinstance(block, TextBlock))
        return self.content + "".join(texts)

    @property
    def tool_results(self) -> tuple[str, ...]:
        """The ids of the tool calls that the question has results of."""
        return results_in(self.parts) if self.parts else ()

    def regenerating(self, question: Message) -> "AskRequest":
        """The same for a question that is stored already, which is to get one more answer."""
        return msgspec.structs.replace(
            self,
            conversation_id=question.conversation_id,
            parent_id=question.parent_id,
            question_id=question.id,
        )

    @property
    def may_come_again(self) -> bool:
        """Whether the client would be recognised if it sent the question again."""
        return self.idempotency_key is not None or self.sdk_retry is not None

    @property
    def idempotency_key_id(self) -> str:
        """The id in the store of what the client's retries have in common: a hash of the user and
        the idempotency key, or of the user and the request.
        """
        if self.idempotency_key is None:
            return _digest(f"{self.user}\0sdk\0{self.fingerprint}".encode())  # no key has a NUL
        return _digest(f"{self.user}\0{self.idempotency_key}".encode())

    @property
    def fingerprint(self) -> str:
        """A hash of the question: equal for each retry, and different for any other question."""
        if self.identity is not None:
            return self.identity
        asked = msgspec.structs.replace(
            self,
            idempotency_key=None,
            caller=None,
            allowed=None,
            files=(),
            client=None,
            sdk_retry=None,
            waits=False,
        )
        # A client may write the fields of an object in another order when it tries again.
        return _digest(msgspec.json.encode(asked, order="deterministic"))

    def stored_key(self, answer: Message) -> IdempotencyKey | None:
        """The idempotency key as it is stored with `answer`; None if the client sends none, and
        its SDK counts no retries.
        """
        if not self.may_come_again:
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

    @property
    def option_chars(self) -> int:
        """The length of its tools, its response format and its extra fields, as JSON."""
        if _LATER_OPTIONS(self) == _UNSET:
            return 0
        return len(msgspec.json.encode((self.tools, self.response_format, self.extra)))

    @property
    def client_chars(self) -> int:
        """The length of what the client protocol stores with the answer, as JSON."""
        return 0 if self.client is None else len(msgspec.json.encode(self.client))

    def prompt(
        self,
        model: str,
        conversation: Conversation,
        history: tuple[Turn, ...],
        files: Mapping[str, FileContent],
    ) -> Prompt:
        """The prompt for the provider."""
        turns = (*history, Turn(Role.USER, self.blocks, self.system_after))
        later = _LATER_OPTIONS(self)
        return Prompt(
            model=model,
            turns=merged(answered(turns) if history or self.parts else turns),
            system=self.system_in(conversation),
            files=files,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=self.stop,
            **({} if later == _UNSET else dict(zip(LATER_OPTION_NAMES, later, strict=True))),
        )

    def alone_in(self, prompt: Prompt) -> Prompt:
        """`prompt` whose last turn is the question alone.

        It is refused for what it carries itself, and not for an image of a question before that got
        no answer and was joined to it.
        """
        turns = (*prompt.turns[:-1], Turn(Role.USER, self.blocks))
        return msgspec.structs.replace(prompt, turns=turns)


# The options that the first version did not have. Few questions set one, and one call returns all.
LATER_OPTION_NAMES: Final = AskRequest.__struct_fields__[
    AskRequest.__struct_fields__.index("top_k") :
]
_LATER_OPTIONS = attrgetter(*LATER_OPTION_NAMES)
_UNSET = _LATER_OPTIONS(AskRequest(user="", content=""))


class AskResult(NamedTuple):
    """The answer to a question, and whether this request started it.

    An earlier request started it if the idempotency key was used before; the client may have
    received a part of it then.
    """

    answer: Answer
    is_new: bool


def text_and_parts(blocks: tuple[Block, ...]) -> tuple[str, tuple[Block, ...]]:
    """A question's content as an `AskRequest` has it: text alone, as in the first version, or else
    parts.
    """
    if all(isinstance(block, TextBlock) for block in blocks):
        return "".join(block.text for block in blocks if isinstance(block, TextBlock)), ()
    return "", blocks


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
