"""The operations of OpenAI's API, in the form of the table in `operations.py`."""

from handlers.errors import FAILURE_STATUSES
from handlers.openai.chat_body import ChatCompletionBody
from handlers.openai.completion import ChatCompletion
from handlers.openai.error_body import ErrorBody
from handlers.openai.models import OpenAIModel, OpenAIModels
from handlers.openapi.components import (
    EVENTS,
    IDEMPOTENCY_KEY,
    JSON,
    ON_DISCONNECT,
    RATE_LIMITS,
    REFUSALS,
    SHOULD_RETRY,
    TEXT,
    Operation,
    Reply,
)
from handlers.response_bodies import Refusal

# What is refused before any handler is asked has the native form.
ERROR = {JSON: (ErrorBody, Refusal)}


def _failed(status: int) -> Reply:
    """The reply where an answer that is waited for fails, and where a request is refused."""
    words = "The answer was waited for and is not whole: it failed, was stopped or interrupted."
    refused = REFUSALS.get(status, Reply(words))
    both = words if refused.description == words else f"{refused.description} Or: {words}"
    headers = tuple(header._replace(always=False) for header in refused.headers)
    return Reply(both, ERROR, (*headers, SHOULD_RETRY))


OPENAI_OPERATIONS = (
    Operation(
        "post",
        "/v1/chat/completions",
        "Ask as OpenAI's clients do.",
        "Sends `messages` to the model and returns the answer: with `stream` as events, each with "
        "a chunk of the completion, and `[DONE]` at the end; else whole. A stream that cannot be "
        "completed ends by an event with `error`, without `[DONE]`. Without `store` nothing is "
        "stored, and the answer is cancelled when its client disconnects. Fields that are not "
        "described here go on to providers with OpenAI's API and are refused for all others.",
        {
            200: Reply(
                "The answer, as a stream of events or whole.",
                {JSON: ChatCompletion, EVENTS: TEXT},
                RATE_LIMITS,
            ),
            **{int(status): _failed(status) for status in sorted({*FAILURE_STATUSES, 409})},
        },
        body=ChatCompletionBody,
        parameters=(IDEMPOTENCY_KEY, ON_DISCONNECT),
        refuses=(404, 422),
        error=ERROR,
    ),
    Operation(
        "get",
        "/v1/models",
        "List the models as OpenAI's clients read them.",
        "Returns the models that this key or token may use, the default first.",
        {200: Reply("All models.", {JSON: OpenAIModels})},
        error=ERROR,
    ),
    Operation(
        "get",
        "/v1/models/{model}",
        "Get a model as OpenAI's clients read it.",
        "Returns the entry of a model, listed or not, if this key or token may use it. Slashes in "
        "its name may be encoded.",
        {200: Reply("The model.", {JSON: OpenAIModel})},
        refuses=(404,),
        error=ERROR,
    ),
)
