"""What the operations of the API share: parameters, response headers and error responses.

`operations.py` builds its table of these; `document.py` turns the table into the document.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.response_bodies import FailedAnswer, Refusal
from storage.values import Order

JSON = "application/json"
EVENTS = "text/event-stream"

# Schemas of bodies that no type of the server describes.
TEXT = {"type": "string"}
ANY_OBJECT = {"type": "object"}
BINARY = {"type": "string", "format": "binary"}
# The schema of one event stands for the stream, as tools that read OpenAPI 3.1 expect.
EVENT = {"$ref": "#/components/schemas/Event"}
# An event of other protocols, whose data is one line of JSON.
DATA_EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "data": {
            "type": "string",
            "description": "One line of JSON of the protocol; the last one may be `[DONE]`.",
        }
    },
    "required": ["data"],
}


class Parameter(NamedTuple):
    """A parameter in the query, or a request header."""

    location: str  # "query" or "header"
    name: str
    description: str
    schema: Mapping[str, Any] = TEXT
    example: Any = None
    required: bool = False


class Header(NamedTuple):
    """A response header; `always` says that no response of the status lacks it."""

    name: str
    description: str
    schema: Mapping[str, Any] = TEXT
    always: bool = True
    example: Any = None


class Reply(NamedTuple):
    """The response of one status; `content` maps a media type to a type, several, or a schema."""

    description: str
    content: Mapping[str, Any] = {}
    headers: tuple[Header, ...] = ()


class Operation(NamedTuple):
    """One method of one path. The error statuses in `refuses` are described by REFUSALS."""

    method: str
    path: str
    summary: str
    description: str
    replies: Mapping[int, Reply]
    body: type | None = None
    parameters: tuple[Parameter, ...] = ()
    needs_key: bool = True
    needs_body: bool = True
    takes_ticket: bool = False
    refuses: tuple[int, ...] = ()
    error: Mapping[str, Any] | None = None  # the content of refusals, if it is not `Refusal`

    @property
    def refusals(self) -> tuple[int, ...]:
        """The error statuses that are not in `replies`, in ascending order."""
        users = (401, 429) if self.needs_key else ()
        found = {*_ANY_OPERATION, *users, *self.refuses}
        return tuple(sorted(found - self.replies.keys()))


REQUEST_ID = Header(
    "X-Request-Id",
    "The id of this request in the server's log: the one that the request carried if it is valid, "
    "or a new one. Quote it when you report a problem.",
    example="b7f3c1d09a5e4f62",
)
# A request that is refused before its head was read has no id.
_OPTIONAL_REQUEST_ID = REQUEST_ID._replace(always=False)
_RETRY_AFTER = Header(
    "Retry-After",
    "Seconds to wait before sending the request again.",
    {"type": "integer", "minimum": 0},
    example=5,
)
LOCATION = Header(
    "Location",
    "The path of what was made, below the server's address.",
    {"type": "string", "format": "uri-reference"},
    example="/api/v1/conversations/0f2c9a4b7d1e4c3f8a6b5d2e1c0f9a8b",
)
DISPOSITION = Header(
    "Content-Disposition",
    "`inline` for images, else `attachment`, with the file's name if it has one.",
    example="attachment; filename=\"report_pdf\"; filename*=UTF-8''report.pdf",
)
PREFERENCE_APPLIED = Header(
    "Preference-Applied",
    "Always `respond-async`: the response does not wait for the answer.",
    example="respond-async",
)
SHOULD_RETRY = Header(
    "x-should-retry",
    "`false` tells OpenAI's SDKs not to send the same request again.",
    {"type": "string", "enum": ["true", "false"]},
    always=False,
)
RATE_LIMITS = tuple(
    Header(f"x-ratelimit-{what}-{kind}", words.format(kind), always=False)
    for kind in ("requests", "tokens")
    for what, words in (
        ("limit", "How many {} this user may have in a minute or a day; left out if unlimited."),
        ("remaining", "How many {} are left."),
        ("reset", "When there are as many {} again, such as `20s`."),
    )
)

_ERROR = {JSON: Refusal}

REFUSALS: Mapping[int, Reply] = {
    400: Reply(
        "The request is malformed or has an invalid value; `error.code` and `error.message` say "
        "which part of it. Sending it again unchanged fails again.",
        _ERROR,
        (_OPTIONAL_REQUEST_ID,),
    ),
    401: Reply(
        "The request has no credentials, or they are invalid or expired; `error.code` says which. "
        "Send an API key or a token as `Authorization: Bearer`.",
        _ERROR,
        (
            Header(
                "WWW-Authenticate",
                "The `Bearer` challenge of RFC 6750; its `error` is absent if no credentials were "
                "sent.",
                example='Bearer realm="headrace", error="invalid_token"',
            ),
        ),
    ),
    403: Reply(
        "The credentials do not permit this, the request came from an address or a site that the "
        "server does not serve, or the user's storage quota is used up; `error.code` says which.",
        _ERROR,
    ),
    404: Reply("The id does not exist, or it belongs to another user.", _ERROR),
    406: Reply(
        "The `Accept` header permits neither `text/event-stream` nor `application/json`.", _ERROR
    ),
    409: Reply(
        "An answer of this conversation is still being generated, and a conversation generates "
        "one answer at a time. `error.answer_id` is its id: wait until it ends, or stop it.",
        _ERROR,
    ),
    413: Reply(
        "The request is larger than the server accepts: its body exceeds `limits.max_body_bytes` "
        "or, with files, `limits.max_file_body_bytes`, a file exceeds `limits.max_file_bytes`, "
        "there are more than `limits.max_files`, the question exceeds "
        "`limits.max_question_chars`, or the store cannot hold the message in one piece. "
        "`error.code` says which, `error.message` names the limit.",
        _ERROR,
    ),
    415: Reply(
        "The body was not sent as `application/json`, or it has a `Content-Encoding`; bodies must "
        "be sent uncompressed.",
        _ERROR,
    ),
    422: Reply(
        "The `Idempotency-Key` was used with another question within the last 24 hours. "
        "Use a new key for a new question.",
        _ERROR,
    ),
    429: Reply(
        "A limit of this user is reached; `error.code` says which one. Send the request again "
        "after as many seconds as `Retry-After` says.",
        _ERROR,
        (_RETRY_AFTER,),
    ),
    431: Reply(
        "The request's head exceeds `limits.max_header_bytes` bytes or `limits.max_headers` "
        "headers.",
        _ERROR,
        (_OPTIONAL_REQUEST_ID,),
    ),
    500: Reply(
        "The server failed on a bug of its own; its log has the traceback under the request id.",
        _ERROR,
    ),
    503: Reply(
        "The server cannot serve the request now: it is overloaded or shutting down, the store "
        "is unavailable, or tokens cannot be verified. `error.code` says which. With "
        "`Retry-After`, send the request again after as many seconds; without it, the server's "
        "operator has to act first.",
        _ERROR,
        (_OPTIONAL_REQUEST_ID, _RETRY_AFTER._replace(always=False)),
    ),
}
# These come before an operation is looked up, or from any of them.
_ANY_OPERATION = (400, 403, 413, 415, 431, 500, 503)

LIMIT = Parameter(
    "query",
    "limit",
    "The largest number of items in the page, 1 to 200. A page ends earlier where it would exceed "
    "a million characters.",
    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
    example=20,
)
ORDER = Parameter(
    "query",
    "order",
    "The time to sort by, latest first: `created` for the creation of the conversation, `updated` "
    "for its last question or change.",
    {"type": "string", "enum": list(Order), "default": Order.CREATED},
    example="updated",
)
IDEMPOTENCY_KEY = Parameter(
    "header",
    "Idempotency-Key",
    "A key of your choice for this question, such as a UUID: 1 to 255 printable ASCII characters. "
    "The same question sent again with it within 24 hours returns the same answer, and is neither "
    "stored nor sent to the provider a second time.",
    {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": 255},
    example="8e03978e-40d5-43dd-bc93-6894a57f9324",
)
ON_DISCONNECT = Parameter(
    "header",
    "Headrace-On-Disconnect",
    "What happens to the answer when its last reader disconnects: `cancel`, `finish`, or the "
    "seconds for which it goes on.",
    {"type": "string", "pattern": r"^(cancel|finish|[0-9]{1,3}(\.[0-9]{1,3})?)$"},
    example="finish",
)
PREFER = Parameter(
    "header",
    "Prefer",
    "With `respond-async` the response is 202 as soon as the question is stored, and does not wait "
    "for the answer.",
    example="respond-async",
)

_EVENT_ID = "[ \\t]*([0-9]{1,9}(-end)?)?[ \\t]*"
_ONE_EVENT_ID = {"type": "string", "pattern": f"^{_EVENT_ID}$"}
POSITION = (
    Parameter(
        "header",
        "Last-Event-ID",
        "The id of the last event that was received; the stream goes on after it. EventSource "
        "sends this by itself. Of a comma-separated list the last id counts.",
        {"type": "string", "pattern": f"^{_EVENT_ID}(,{_EVENT_ID})*$"},
        example="34",
    ),
    Parameter(
        "query",
        "lastEventId",
        "The id of the last event that was received, for EventSource polyfills that cannot send "
        "headers. `Last-Event-ID` takes precedence.",
        _ONE_EVENT_ID,
        example="34",
    ),
    Parameter(
        "query",
        "after",
        "The id of the last event that was received, for a URL that is opened with a position in "
        "it. `Last-Event-ID` and `lastEventId` take precedence.",
        _ONE_EVENT_ID,
        example="34",
    ),
)


def failed(status: int) -> Reply:
    """The reply of `status` where a client waits for the answer as JSON and the answer fails.

    Where requests may be refused with the same status, the reply describes both.
    """
    words = "The answer was waited for as JSON and failed; `message` has the part that was stored."
    refused = REFUSALS.get(status)
    if refused is None:
        return Reply(words, {JSON: FailedAnswer})
    headers = tuple(header._replace(always=False) for header in refused.headers)
    return Reply(f"{refused.description} Or: {words}", {JSON: (Refusal, FailedAnswer)}, headers)
