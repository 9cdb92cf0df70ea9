"""Every operation of the API, said once: what it takes and replies, in the handlers' own types.

`openapi.py` makes the document of it. A test holds this table and the route table to each other, so
that a new route is not served before it stands here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.errors import FAILURE_STATUSES
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
    Refusal,
)
from storage.base import Order

JSON = "application/json"
EVENTS = "text/event-stream"

# Kinds of content that no type of ours describes.
TEXT = {"type": "string"}
ANY_OBJECT = {"type": "object"}
EVENT = {"$ref": "#/components/schemas/Event"}  # one of a stream's, as most describe streams


class Parameter(NamedTuple):
    """Something to send beside the body and the path."""

    place: str  # "query" or "header"
    name: str
    words: str
    schema: Mapping[str, Any] = TEXT


class Header(NamedTuple):
    """What stands in a response's head, always or now and then."""

    name: str
    words: str
    schema: Mapping[str, Any] = TEXT
    always: bool = True


class Reply(NamedTuple):
    """What comes back with one status: by kind of content, a type of ours, several, or a schema."""

    words: str
    content: Mapping[str, Any] = {}
    headers: tuple[Header, ...] = ()


class Operation(NamedTuple):
    """One method of one path. What it refuses beside `replies` is in REFUSALS."""

    method: str
    path: str
    words: str
    replies: Mapping[int, Reply]
    body: type | None = None
    parameters: tuple[Parameter, ...] = ()
    needs_key: bool = True
    needs_body: bool = True
    takes_ticket: bool = False
    refuses: tuple[int, ...] = ()

    @property
    def refusals(self) -> tuple[int, ...]:
        """With which statuses it may refuse a request, beside those of `replies`."""
        users = (401, 429) if self.needs_key else ()
        found = {*_ANYWHERE, *users, *self.refuses}
        return tuple(sorted(found - self.replies.keys()))


REQUEST_ID = Header(
    "X-Request-Id", "By which our log knows the request: the one it carried, or one of ours."
)
# What may be refused unread need not have one.
_READ_ID = REQUEST_ID._replace(always=False)
_RETRY_AFTER = Header(
    "Retry-After", "After how many seconds to try again.", {"type": "integer", "minimum": 0}
)
_REFUSED = {JSON: Refusal}

REFUSALS: Mapping[int, Reply] = {
    400: Reply("Not understood; the code says what of it.", _REFUSED, (_READ_ID,)),
    401: Reply(
        "Without credentials, or with such as open nothing here.",
        _REFUSED,
        (Header("WWW-Authenticate", "`Bearer`, and what is wrong."),),
    ),
    403: Reply("Not for who asks, or not from where; or there is no room for it.", _REFUSED),
    404: Reply("There is no such thing, or it is not yours.", _REFUSED),
    406: Reply("Neither events nor JSON would be accepted.", _REFUSED),
    409: Reply(
        "The conversation's last answer is still being written; `answer_id` names it.",
        _REFUSED,
    ),
    413: Reply("More than is taken.", _REFUSED),
    415: Reply("The body was not sent as `application/json`, or was compressed.", _REFUSED),
    422: Reply(
        "The Idempotency-Key was used for another question.",
        _REFUSED,
    ),
    429: Reply("As much as may be asked for now.", _REFUSED, (_RETRY_AFTER,)),
    431: Reply("A head that is too large.", _REFUSED, (_READ_ID,)),
    500: Reply("A bug of this server.", _REFUSED),
    503: Reply("Not just now.", _REFUSED, (_READ_ID, _RETRY_AFTER)),
}
# A head, a body and a moment may be wrong for any operation.
_ANYWHERE = (400, 403, 413, 415, 431, 500, 503)


_LIMIT = Parameter(
    "query",
    "limit",
    "How many to list.",
    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
)
_ORDER = Parameter(
    "query",
    "order",
    "By which time: that of their creation, or of the last question in them or change of them.",
    {"type": "string", "enum": list(Order), "default": Order.CREATED},
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
_EVENT_ID = "[ \\t]*([0-9]{1,9}(-end)?)?[ \\t]*"
_ONE_EVENT_ID = {"type": "string", "pattern": f"^{_EVENT_ID}$"}
_POSITION = (
    Parameter(
        "header",
        "Last-Event-ID",
        "The id of the last event seen; the stream goes on behind it. Of several, the last.",
        {"type": "string", "pattern": f"^{_EVENT_ID}(,{_EVENT_ID})*$"},
    ),
    Parameter("query", "lastEventId", "The same, for who cannot send headers.", _ONE_EVENT_ID),
    Parameter("query", "after", "The same, for an address that is opened.", _ONE_EVENT_ID),
)
_SEEN_THE_END = Reply("The end was seen already; an EventSource stops.")
_STREAM = (
    "The answer as events: `start`, then `delta`, perhaps `reset`, and `end`. The data of each is "
    "one line of JSON, by the schemas StartEvent, DeltaEvent, ResetEvent and EndEvent."
)
_LOCATION = Header(
    "Location", "Where it is from now on.", {"type": "string", "format": "uri-reference"}
)


def _failed(status: int) -> Reply:
    """The answer failed and was waited for as JSON, or it was refused before there was one."""
    words = "The answer failed, and was waited for as JSON."
    refused = REFUSALS.get(status)
    if refused is None:
        return Reply(words, {JSON: FailedAnswer})
    headers = tuple(header._replace(always=False) for header in refused.headers)
    return Reply(f"{refused.words} Or: {words}", {JSON: (Refusal, FailedAnswer)}, headers)


_ASKED = {
    200: Reply(
        "The answer: as a stream, or whole if only `application/json` is accepted.",
        {EVENTS: EVENT, JSON: Message},
    ),
    202: Reply(
        "With `Prefer: respond-async`: where the answer can be read.",
        {JSON: Accepted},
        (_LOCATION, Header("Preference-Applied", "`respond-async`")),
    ),
    204: _SEEN_THE_END._replace(words="With a key that was used before: the end was seen already."),
    **{int(status): _failed(status) for status in sorted(FAILURE_STATUSES)},
}
_ASKING_REFUSES = (404, 406, 409, 422)

_CONVERSATIONS = "/api/v1/conversations"
_CONVERSATION = "/api/v1/conversations/{conversation_id}"

OPERATIONS = (
    Operation(
        "post",
        "/api/v1/chat",
        "Ask, in a new conversation or the named one.",
        _ASKED,
        body=Chat,
        parameters=(_KEY, _PREFER, *_POSITION),
        refuses=_ASKING_REFUSES,
    ),
    Operation(
        "post",
        f"{_CONVERSATION}/messages",
        "Ask in a conversation.",
        _ASKED,
        body=Question,
        parameters=(_KEY, _PREFER, *_POSITION),
        refuses=_ASKING_REFUSES,
    ),
    Operation(
        "get",
        f"{_CONVERSATION}/messages",
        "What was said: the newest page first, each page from old to new.",
        {200: Reply("A page of messages.", {JSON: List[Message]})},
        parameters=(_LIMIT, Parameter("query", "before", "`next` of the page behind this one.")),
        refuses=(404,),
    ),
    Operation(
        "post",
        _CONVERSATIONS,
        "Make a conversation.",
        {201: Reply("It is made.", {JSON: Conversation}, (_LOCATION,))},
        body=NewConversation,
        refuses=(429,),
    ),
    Operation(
        "get",
        _CONVERSATIONS,
        "List conversations, newest first.",
        {200: Reply("A page of conversations.", {JSON: List[Conversation]})},
        parameters=(_LIMIT, _ORDER, Parameter("query", "after", "`next` of the page before.")),
    ),
    Operation(
        "get",
        _CONVERSATION,
        "Show a conversation.",
        {200: Reply("It.", {JSON: Conversation})},
        refuses=(404,),
    ),
    Operation(
        "patch",
        _CONVERSATION,
        "Change what is named; null clears.",
        {200: Reply("As it is now.", {JSON: Conversation})},
        body=ChangedConversation,
        refuses=(404, 429),
    ),
    Operation(
        "delete",
        _CONVERSATION,
        "Forget a conversation and all its messages; a live answer is stopped first.",
        {204: Reply("It is gone.")},
        refuses=(404,),
    ),
    Operation(
        "get",
        "/api/v1/answers/{answer_id}/events",
        "Read an answer from any position, live or ended.",
        {
            200: Reply(_STREAM, {EVENTS: EVENT}),
            204: _SEEN_THE_END,
        },
        parameters=_POSITION,
        takes_ticket=True,
        refuses=(404,),
    ),
    Operation(
        "post",
        "/api/v1/answers/{answer_id}/regenerate",
        "Have its question answered once more, beside the answers it has.",
        _ASKED,
        body=Options,
        parameters=(_KEY, _PREFER, *_POSITION),
        refuses=_ASKING_REFUSES,
        needs_body=False,
    ),
    Operation(
        "post",
        "/api/v1/answers/{answer_id}/ticket",
        "Get a ticket, by which an EventSource reads this answer.",
        {201: Reply("It, and the address that has it in it.", {JSON: GivenTicket})},
        refuses=(404,),
    ),
    Operation(
        "post",
        "/api/v1/answers/{answer_id}/stop",
        "Stop an answer.",
        {
            200: Reply("It has ended.", {JSON: Message}),
            202: Reply(
                "Another process has it, and was told, or its end is not stored yet.",
                {JSON: Message},
            ),
        },
        refuses=(404,),
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
        refuses=(404,),
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
