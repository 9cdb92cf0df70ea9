"""The operations of the AI SDK's UI stream, in the form of the table in `operations.py`."""

from handlers.ai_sdk.chat_body import UIChat
from handlers.openapi.components import (
    DATA_EVENT,
    EVENTS,
    IDEMPOTENCY_KEY,
    JSON,
    TEXT,
    Header,
    Operation,
    Parameter,
    Reply,
)
from handlers.response_bodies import Refusal

# What is refused before any handler is asked has the native form.
_ERROR = {"text/plain": TEXT, JSON: Refusal}

_STREAM = Reply(
    "The answer as a UI message stream of Vercel's AI SDK: chunks as JSON, each in the `data` of "
    "an event, and `[DONE]` at the end. Only chunks that `ai` 5, 6 and 7 know are written. The "
    "`messageMetadata` has the ids of conversation, question and answer, and in the end the "
    "answer's `status`, `usage` and `timing`. An answer that is not complete ends by an `error` "
    "chunk, one that was stopped by `abort` and `finish`.",
    {EVENTS: DATA_EVENT},
    (
        Header(
            "x-vercel-ai-ui-message-stream",
            "The version of the protocol, always `v1`.",
            example="v1",
        ),
    ),
)

AI_SDK_OPERATIONS = (
    Operation(
        "post",
        "/ai-sdk/chat",
        "Ask as `useChat` does.",
        "Answers the last message of a chat of Vercel's AI SDK (`DefaultChatTransport`), whose "
        "conversation is created with the first question. The question follows the last answer "
        "that the client has, and is sent to the model with what the server has stored of the "
        "chat. Results of tools continue the message that called them. The same request is "
        "answered once, also without an `Idempotency-Key`, unless its answer failed. A live answer "
        "of the chat that nobody reads is stopped. Error responses are the message alone, with the "
        "code in `Headrace-Error`.",
        {200: _STREAM},
        body=UIChat,
        parameters=(IDEMPOTENCY_KEY,),
        refuses=(404, 409, 422),
        error=_ERROR,
    ),
    Operation(
        "get",
        "/ai-sdk/chat/{chat_id}/stream",
        "Resume a chat's stream.",
        "Streams the newest answer of a chat from its beginning, live or ended, with the earlier "
        "answers of its message. Any process of the server can serve it.",
        {
            200: _STREAM,
            204: Reply(
                "There is nothing to resume: nothing was asked in the chat, or its newest answer "
                "has ended and the client has all of it."
            ),
        },
        parameters=(
            Parameter(
                "query",
                "has",
                "The id of an answer that the client has all of, if it knows: 204 if that is the "
                "newest one.",
            ),
        ),
        error=_ERROR,
    ),
    Operation(
        "post",
        "/ai-sdk/chat/{chat_id}/stop",
        "Stop a chat's answer.",
        "Ends the live answer of a chat, if there is one, with the status `stopped`; all its "
        "readers get the end.",
        {
            202: Reply(
                "The answer will be stopped, but its end is not stored yet: another process "
                "generates it, or the store is slow."
            ),
            204: Reply("No answer of the chat is live."),
        },
        error=_ERROR,
    ),
)
