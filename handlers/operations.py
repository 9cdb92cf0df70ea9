"""Every operation of the API, said once: what it takes and replies, in the handlers' own types.

`openapi.py` makes the document of it. A test holds this table and the route table to each other, so
that a new route is not served before it stands here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.views import (
    Accepted,
    ChangedConversation,
    Chat,
    Conversation,
    FailedAnswer,
    GivenTicket,
    Health,
    List,
    Me,
    Message,
    ModelEntry,
    NewConversation,
    Options,
    Question,
    Ready,
)

JSON = "application/json"
EVENTS = "text/event-stream"

# A kind of content that no type of ours describes.
TEXT = {"type": "string"}
ANY_OBJECT = {"type": "object"}


class Parameter(NamedTuple):
    """Something to send beside the body and the path."""

    place: str  # "query" or "header"
    name: str
    words: str
    schema: Mapping[str, Any] = TEXT


class Reply(NamedTuple):
    """What comes back with one status: by kind of content, a type of ours or a schema."""

    words: str
    content: Mapping[str, Any] = {}


class Operation(NamedTuple):
    """One method of one path. Whatever it refuses comes as `Refusal`."""

    method: str
    path: str
    words: str
    replies: Mapping[int, Reply]
    body: type | None = None
    parameters: tuple[Parameter, ...] = ()
    needs_key: bool = True
    needs_body: bool = True


_LIMIT = Parameter(
    "query",
    "limit",
    "How many to list.",
    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
)
_KEY = Parameter(
    "header",
    "Idempotency-Key",
    "Your name for this question: sent again under it, it is answered once.",
    {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": 255},
)
_PREFER = Parameter(
    "header",
    "Prefer",
    "`respond-async` says where the answer can be read, and does not wait for it.",
)
_LAST_EVENT = Parameter(
    "header",
    "Last-Event-ID",
    "The id of the last event that was seen; the stream goes on behind it.",
    {"type": "string", "pattern": "^[0-9]{1,9}(-end)?$"},
)
_AFTER_EVENT = Parameter(
    "query", "after", "The same, for who cannot send headers.", _LAST_EVENT.schema
)
_TICKET = Parameter(
    "query", "ticket", "In place of a key, for an EventSource, which can send no headers."
)
_STREAM = (
    "The answer as events: `start`, then `delta`, perhaps `reset`, and `end`. The data of each is "
    "one line of JSON, by the schemas StartEvent, DeltaEvent, ResetEvent and EndEvent."
)
_ASKED = {
    200: Reply(
        "The answer: as a stream, or whole if only `application/json` is accepted.",
        {EVENTS: TEXT, JSON: Message},
    ),
    202: Reply("With `Prefer: respond-async`: where the answer can be read.", {JSON: Accepted}),
    502: Reply("The answer failed, and was waited for as JSON.", {JSON: FailedAnswer}),
}

_CONVERSATIONS = "/api/v1/conversations"
_CONVERSATION = "/api/v1/conversations/{conversation_id}"

OPERATIONS = (
    Operation(
        "post",
        "/api/v1/chat",
        "Ask, in a new conversation or the named one.",
        _ASKED,
        body=Chat,
        parameters=(_KEY, _PREFER),
    ),
    Operation(
        "post",
        f"{_CONVERSATION}/messages",
        "Ask in a conversation.",
        _ASKED,
        body=Question,
        parameters=(_KEY, _PREFER),
    ),
    Operation(
        "get",
        f"{_CONVERSATION}/messages",
        "What was said: the newest page first, each page from old to new.",
        {200: Reply("A page of messages.", {JSON: List[Message]})},
        parameters=(_LIMIT, Parameter("query", "before", "`next` of the page behind this one.")),
    ),
    Operation(
        "post",
        _CONVERSATIONS,
        "Make a conversation.",
        {201: Reply("It is made.", {JSON: Conversation})},
        body=NewConversation,
    ),
    Operation(
        "get",
        _CONVERSATIONS,
        "List conversations, newest first.",
        {200: Reply("A page of conversations.", {JSON: List[Conversation]})},
        parameters=(_LIMIT, Parameter("query", "after", "`next` of the page before this one.")),
    ),
    Operation(
        "get", _CONVERSATION, "Show a conversation.", {200: Reply("It.", {JSON: Conversation})}
    ),
    Operation(
        "patch",
        _CONVERSATION,
        "Change what is named; null clears.",
        {200: Reply("As it is now.", {JSON: Conversation})},
        body=ChangedConversation,
    ),
    Operation(
        "delete",
        _CONVERSATION,
        "Forget a conversation and all its messages; a live answer is stopped first.",
        {204: Reply("It is gone.")},
    ),
    Operation(
        "get",
        "/api/v1/answers/{answer_id}/events",
        "Read an answer from any position, live or ended.",
        {
            200: Reply(_STREAM, {EVENTS: TEXT}),
            204: Reply("The end was seen already; an EventSource stops."),
        },
        parameters=(_LAST_EVENT, _AFTER_EVENT, _TICKET),
    ),
    Operation(
        "post",
        "/api/v1/answers/{answer_id}/regenerate",
        "Have its question answered once more, beside the answers it has.",
        _ASKED,
        body=Options,
        parameters=(_KEY, _PREFER),
        needs_body=False,
    ),
    Operation(
        "post",
        "/api/v1/answers/{answer_id}/ticket",
        "Get a ticket, by which an EventSource reads this answer.",
        {201: Reply("It, and the address that has it in it.", {JSON: GivenTicket})},
    ),
    Operation(
        "post",
        "/api/v1/answers/{answer_id}/stop",
        "Stop an answer.",
        {
            200: Reply("It has ended.", {JSON: Message}),
            202: Reply("Another process has it, and was told.", {JSON: Message}),
        },
    ),
    Operation(
        "get",
        "/api/v1/models",
        "Which models there are, the default first.",
        {200: Reply("All of them.", {JSON: List[ModelEntry]})},
    ),
    Operation(
        "get",
        "/api/v1/me",
        "Whose the key is.",
        {200: Reply("The user for whom is asked.", {JSON: Me})},
    ),
    Operation(
        "get",
        "/healthz",
        "Whether the process turns.",
        {200: Reply("Yes.", {JSON: Health})},
        needs_key=False,
    ),
    Operation(
        "get",
        "/readyz",
        "Whether questions can be asked and kept.",
        {200: Reply("Yes.", {JSON: Ready})},
        needs_key=False,
    ),
    Operation(
        "get",
        "/metrics",
        "Numbers for Prometheus, where a port is one process's alone; for admins.",
        {200: Reply("Prometheus' text format.", {"text/plain": TEXT})},
    ),
    Operation(
        "get",
        "/api/openapi.json",
        "This document.",
        {200: Reply("OpenAPI 3.1.", {JSON: ANY_OBJECT})},
        needs_key=False,
    ),
    Operation(
        "get",
        "/api/docs",
        "This document as a page.",
        {200: Reply("HTML.", {"text/html": TEXT})},
        needs_key=False,
    ),
)
