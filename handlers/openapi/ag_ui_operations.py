"""The operations of AG-UI, in the form of the table in `operations.py`."""

from handlers.ag_ui.run_input import RunInput
from handlers.openapi.components import (
    ANY_OBJECT,
    DATA_EVENT,
    EVENTS,
    JSON,
    LIMIT,
    Operation,
    Parameter,
    Reply,
)

_STREAM = (
    "The run as a stream of AG-UI events, each with an `id`. It ends with `RUN_FINISHED`, whose "
    "`outcome` is `cancelled` for a run that was stopped, or with `RUN_ERROR`. A stream that ends "
    "otherwise was cut off: go on with the id of the last event as `Last-Event-ID`. After an empty "
    "`id` the run comes again from its beginning: a crash lost a part of what was sent."
)
_END_SEEN = Reply("The request has the id of the last event, so there is nothing more to read.")
_AFTER = Parameter(
    "header",
    "Last-Event-ID",
    "The id of the last event that was received; the stream goes on after it. Of a "
    "comma-separated list the last id counts.",
    {"type": "string", "pattern": "^[0-9]*$", "maxLength": 10},
    example="34",
)

AG_UI_OPERATIONS = (
    Operation(
        "post",
        "/ag-ui",
        "Start a run, or go on with its stream.",
        "Takes AG-UI's `RunAgentInput`. The thread is a conversation, which its first run creates; "
        "what is asked are the messages after the last answer. If all answers among the messages "
        "are the thread's own, the model gets what the server has stored of them, else what was "
        "sent. The same `runId` within 24 hours is the same run, and is not asked "
        "again; with `Last-Event-ID` its stream goes on after that event. A live answer of the "
        "thread that nobody reads is stopped. `forwardedProps` may have the options of a question "
        "in this API, such as `model`; `context` and `state` become a part of the system prompt.",
        {200: Reply(_STREAM, {EVENTS: DATA_EVENT}), 204: _END_SEEN},
        body=RunInput,
        parameters=(_AFTER,),
        refuses=(404, 409, 422),
    ),
    Operation(
        "get",
        "/ag-ui",
        "Join a run, or get the messages of a thread.",
        "With `runId`, streams a live or an ended run from its beginning, or from after the event "
        "`Last-Event-ID`. With `threadId`, returns the newest messages of a thread as the "
        "client of TanStack AI shows them, and the run that is live.",
        {
            200: Reply(
                "The run as a stream of events; or, with `threadId`, `messages`, `activeRun` "
                "(null, or the live run's `runId`) and `page` (whether there are older messages, "
                "and the `cursor` that leads to them).",
                {EVENTS: DATA_EVENT, JSON: ANY_OBJECT},
            ),
            204: _END_SEEN,
        },
        parameters=(
            Parameter(
                "query",
                "runId",
                "The run: by the `runId` of its client, within 24 hours, or by the id of its "
                "answer.",
            ),
            Parameter(
                "query",
                "offset",
                "Where to begin: `-1`, the run's beginning, is the only one and the default.",
                {"type": "string", "enum": ["-1"]},
                example="-1",
            ),
            Parameter("query", "threadId", "The thread, in place of a run."),
            LIMIT,
            Parameter(
                "query",
                "before",
                "The `cursor` of a page: returns the messages before it. Without it the newest "
                "page is returned.",
            ),
            _AFTER,
        ),
        refuses=(404,),
    ),
)
