"""Every operation of the API: what it does, what it takes and what it replies.

`openapi.py` makes the OpenAPI document of this table. A test holds the table against the routes
that the server serves, so that no route is undocumented.
"""

from handlers.attached_files import FILE_TYPES
from handlers.errors import FAILURE_STATUSES
from handlers.openapi.ag_ui_operations import AG_UI_OPERATIONS
from handlers.openapi.ai_sdk_operations import AI_SDK_OPERATIONS
from handlers.openapi.components import (
    ANY_OBJECT,
    BINARY,
    DISPOSITION,
    EVENT,
    EVENTS,
    IDEMPOTENCY_KEY,
    JSON,
    LIMIT,
    LOCATION,
    ORDER,
    POSITION,
    PREFER,
    PREFERENCE_APPLIED,
    TEXT,
    Operation,
    Parameter,
    Reply,
    failed,
)
from handlers.openapi.openai_operations import OPENAI_OPERATIONS
from handlers.question_options import Options
from handlers.request_bodies import ChangedConversation, Chat, NewConversation, Question
from handlers.response_bodies import (
    Accepted,
    ConversationView,
    GivenTicket,
    Health,
    List,
    Me,
    MessageView,
    ModelEntry,
    Ready,
    Refusal,
)

_CONVERSATIONS = "/api/v1/conversations"
_CONVERSATION = "/api/v1/conversations/{conversation_id}"
_ANSWER = "/api/v1/answers/{answer_id}"

_STREAM = (
    "The answer as a stream of events: `start`, any number of `delta` and `reset`, and `end`. The "
    "`data` of an event is one line of JSON: a StartEvent, DeltaEvent, ResetEvent or EndEvent. "
    "A comment (`: beat`) is sent after some seconds without an event. A stream that closes "
    "without `end` was cut off: reconnect with the id of the last event."
)
_END_SEEN = Reply(
    "The request has the id of the `end` event, so there is nothing more to read. An EventSource "
    "does not reconnect after this status."
)

# What asking replies, on whichever path.
_ANSWERED = {
    200: Reply(
        "The answer, as a stream of events or, if `Accept` permits only `application/json`, as a "
        "message once it has ended.",
        {EVENTS: EVENT, JSON: MessageView},
    ),
    202: Reply(
        "With `Prefer: respond-async`: the question is stored, and its answer can be read at "
        "`events_url`.",
        {JSON: Accepted},
        (LOCATION, PREFERENCE_APPLIED),
    ),
    204: _END_SEEN._replace(
        description="The `Idempotency-Key` was used before, and the request has the id of that "
        "answer's `end` event, so there is nothing more to read."
    ),
    **{int(status): failed(status) for status in sorted(FAILURE_STATUSES)},
}
_ASKING = (IDEMPOTENCY_KEY, PREFER, *POSITION)
_ASKING_REFUSES = (404, 406, 409, 422)

OPERATIONS = (
    Operation(
        "post",
        "/api/v1/chat",
        "Ask a question, and make its conversation if none is named.",
        "Stores the question in the conversation `conversation_id`, or in a new one, sends it to "
        "the model with the history of its branch, and returns the answer: as a stream of events "
        "(`Accept: text/event-stream`, the default), as one message (`Accept: application/json`), "
        "or as the address where it can be read (`Prefer: respond-async`).",
        _ANSWERED,
        body=Chat,
        parameters=_ASKING,
        refuses=_ASKING_REFUSES,
    ),
    Operation(
        "post",
        f"{_CONVERSATION}/messages",
        "Ask a question in a conversation.",
        "Does what `POST /api/v1/chat` does, in the conversation that the path names.",
        _ANSWERED,
        body=Question,
        parameters=_ASKING,
        refuses=_ASKING_REFUSES,
    ),
    Operation(
        "get",
        f"{_CONVERSATION}/messages",
        "List the messages of a conversation.",
        "Returns the newest page of messages; `before` leads to older pages. Within a page "
        "messages are sorted from oldest to newest, all branches together, parents before "
        "their children.",
        {
            200: Reply(
                "A page of messages; `next` is null if there are no older ones.",
                {JSON: List[MessageView]},
            )
        },
        parameters=(
            LIMIT,
            Parameter(
                "query",
                "before",
                "The `next` of a page: returns the messages before that page. Without it the "
                "newest page is returned.",
            ),
        ),
        refuses=(404,),
    ),
    Operation(
        "post",
        _CONVERSATIONS,
        "Create a conversation.",
        "Creates an empty conversation. `POST /api/v1/chat` without a `conversation_id` creates "
        "one together with its first question.",
        {201: Reply("The conversation was created.", {JSON: ConversationView}, (LOCATION,))},
        body=NewConversation,
        refuses=(429,),
    ),
    Operation(
        "get",
        _CONVERSATIONS,
        "List the user's conversations.",
        "Returns the first page of conversations in the given order; `after` leads to the pages "
        "behind it.",
        {
            200: Reply(
                "A page of conversations; `next` is null on the last one.",
                {JSON: List[ConversationView]},
            )
        },
        parameters=(
            LIMIT,
            ORDER,
            Parameter(
                "query",
                "after",
                "The `next` of a page in the same order: returns the page after it. Without it "
                "the first page is returned.",
            ),
        ),
    ),
    Operation(
        "get",
        _CONVERSATION,
        "Get a conversation.",
        "Returns the conversation without its messages.",
        {200: Reply("The conversation.", {JSON: ConversationView})},
        refuses=(404,),
    ),
    Operation(
        "patch",
        _CONVERSATION,
        "Change a conversation.",
        "Changes the fields that the body names and leaves the others. Null clears `title`, "
        "`model` or `system`; an empty object clears `metadata`.",
        {200: Reply("The conversation after the change.", {JSON: ConversationView})},
        body=ChangedConversation,
        refuses=(404, 429),
    ),
    Operation(
        "delete",
        _CONVERSATION,
        "Delete a conversation.",
        "Stops a live answer of the conversation, then deletes the conversation with its "
        "messages and files. This cannot be undone.",
        {204: Reply("The conversation was deleted.")},
        refuses=(404,),
    ),
    Operation(
        "get",
        "/api/v1/answers",
        "List the user's live answers.",
        "Returns the answers of all conversations that are being generated, newest first, with "
        "what is stored of them so far: for an app that comes to the front. Each can be read to "
        "its end from its stream.",
        {
            200: Reply(
                "A page of live answers; `next` is null on the last one.",
                {JSON: List[MessageView]},
            )
        },
        parameters=(
            Parameter(
                "query",
                "status",
                "Which answers: `live` ones.",
                {"type": "string", "enum": ["live"]},
                required=True,
                example="live",
            ),
            LIMIT,
            Parameter(
                "query",
                "after",
                "The `next` of a page of this list: returns the page after it. Without it the "
                "first page is returned.",
            ),
        ),
    ),
    Operation(
        "get",
        f"{_ANSWER}/events",
        "Stream an answer from any position.",
        "Streams a live or an ended answer, from its beginning or from after the event whose id "
        "the request has. Any process of the server can serve it, and any number of readers may "
        "read it at a time. While the answer cannot be read, the stream has a `retry` field only "
        "and closes: reconnect with the same id after as many milliseconds.",
        {
            200: Reply(_STREAM, {EVENTS: EVENT}),
            204: _END_SEEN,
        },
        parameters=POSITION,
        takes_ticket=True,
        refuses=(404,),
    ),
    Operation(
        "post",
        f"{_ANSWER}/regenerate",
        "Generate another answer to the same question.",
        "Sends the question of this answer to the model again. The new answer is stored beside "
        "the ones there are, with the same `parent_id`. Without `model` the model of this answer "
        "is used. Other options of the first request are not stored: send them again if they are "
        "to apply.",
        _ANSWERED,
        body=Options,
        parameters=_ASKING,
        refuses=_ASKING_REFUSES,
        needs_body=False,
    ),
    Operation(
        "post",
        f"{_ANSWER}/ticket",
        "Get a ticket for reading an answer with an EventSource.",
        "Returns a ticket that permits reading the events of this answer. It is for EventSource, "
        "which cannot send an `Authorization` header. It expires 60 seconds after the answer's "
        "end or its own issue, whichever is later, after a day at most, and with the key or token "
        "that asked for it.",
        {201: Reply("The ticket, and the address that contains it.", {JSON: GivenTicket})},
        refuses=(404,),
    ),
    Operation(
        "post",
        f"{_ANSWER}/stop",
        "Stop an answer.",
        "Ends a live answer with the status `stopped`; the text that was generated so far is "
        "stored, and all its readers get `end`. An answer that has ended is not changed.",
        {
            200: Reply("The answer has ended; this is what is stored of it.", {JSON: MessageView}),
            202: Reply(
                "The answer will be stopped, but its end is not stored yet: another process "
                "generates it, or the store is slow. The message may still be `live`.",
                {JSON: MessageView},
            ),
        },
        refuses=(404,),
    ),
    Operation(
        "get",
        "/api/v1/files/{file_id}",
        "Get an image or a file of a question.",
        "Returns the content of a `file_id` in a question's blocks. `Content-Type` is what the "
        "content was found to be. `Content-Disposition` has a browser show images and save other "
        "files, under the name that the question gave.",
        {200: Reply("The content.", dict.fromkeys(FILE_TYPES, BINARY), (DISPOSITION,))},
        refuses=(404,),
    ),
    Operation(
        "get",
        "/api/v1/models",
        "List the models.",
        "Returns the models that this key or token may use, the default first.",
        {
            200: Reply(
                "All models in one page; `next` is always null.",
                {JSON: List[ModelEntry]},
            )
        },
    ),
    Operation(
        "get",
        "/api/v1/me",
        "Get the current user.",
        "Returns the user that the credentials belong to, or the one that an admin names in "
        "`Headrace-User`, and the limits of a question.",
        {200: Reply("The user, whether the credentials are an admin's, and limits.", {JSON: Me})},
    ),
    Operation(
        "get",
        "/healthz",
        "Check that the process is alive.",
        "Replies as long as the process handles requests; the store is not asked. For liveness "
        "probes.",
        {200: Reply("The process is alive.", {JSON: Health})},
        needs_key=False,
    ),
    Operation(
        "get",
        "/readyz",
        "Check that the server is ready for questions.",
        "Replies 200 while questions can be taken and stored, as found within the last second. "
        "For readiness probes and load balancers.",
        {
            200: Reply("The server is ready.", {JSON: Ready}),
        },
        needs_key=False,
    ),
    Operation(
        "get",
        "/metrics",
        "Get metrics for Prometheus.",
        "Returns the metrics of this process; takes an admin's credentials. Where several "
        "processes share a port, each serves its metrics at a port of its own, `metrics.port`.",
        {
            200: Reply("The metrics in Prometheus' text format.", {"text/plain": TEXT}),
            404: Reply(
                "Several processes share this port. Set `metrics.port` and ask there.",
                {JSON: Refusal},
            ),
        },
    ),
    Operation(
        "get",
        "/api/openapi.json",
        "Get this document.",
        "Returns the OpenAPI 3.1 description of the API.",
        {200: Reply("The OpenAPI 3.1 document.", {JSON: ANY_OBJECT})},
        needs_key=False,
    ),
    Operation(
        "get",
        "/api/docs",
        "Read this document as a page.",
        "Returns the OpenAPI description as an HTML page without scripts.",
        {200: Reply("The page.", {"text/html": TEXT})},
        needs_key=False,
    ),
    *OPENAI_OPERATIONS,
    *AG_UI_OPERATIONS,
    *AI_SDK_OPERATIONS,
)
