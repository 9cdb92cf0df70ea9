"""The operations of OpenAI's API, in the form of the table in `operations.py`."""

from handlers.errors import FAILURE_STATUSES
from handlers.openai.chat_body import ChatCompletionBody
from handlers.openai.completion import ChatCompletion
from handlers.openai.conversation_items import ItemPage
from handlers.openai.conversations import (
    ChangedOpenAIConversation,
    DeletedOpenAIConversation,
    NewOpenAIConversation,
    OpenAIConversation,
)
from handlers.openai.error_body import ErrorBody
from handlers.openai.models import OpenAIModel, OpenAIModels
from handlers.openai.response_body import ResponseBody
from handlers.openai.response_items import (
    FunctionCallOutput,
    InputItemList,
    InputMessage,
    OutputItem,
)
from handlers.openai.response_object import DeletedResponse, ResponseObject
from handlers.openai.stored_completions import (
    ChangedCompletion,
    CompletionPage,
    DeletedCompletion,
    MessagePage,
)
from handlers.openapi.components import (
    DATA_EVENT,
    EVENTS,
    IDEMPOTENCY_KEY,
    JSON,
    ON_DISCONNECT,
    RATE_LIMITS,
    REFUSALS,
    SHOULD_RETRY,
    Operation,
    Parameter,
    Reply,
)
from handlers.response_bodies import Refusal
from handlers.wires.event_numbers import LAST_NUMBER

# What is refused before any handler is asked has the native form.
ERROR = {JSON: (ErrorBody, Refusal)}


def _failed(status: int) -> Reply:
    """The reply where an answer that is waited for fails, and where a request is refused."""
    words = "The answer was waited for and is not whole: it failed, was stopped or interrupted."
    refused = REFUSALS.get(status, Reply(words))
    both = words if refused.description == words else f"{refused.description} Or: {words}"
    headers = tuple(header._replace(always=False) for header in refused.headers)
    return Reply(both, ERROR, (*headers, SHOULD_RETRY))


_COMPLETION = "/v1/chat/completions/{completion_id}"
_PAGING = (
    Parameter(
        "query",
        "limit",
        "The largest number of items in the page, 1 to 100.",
        {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        example=20,
    ),
    Parameter(
        "query",
        "order",
        "`asc` for the oldest first, `desc` for the newest.",
        {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
        example="desc",
    ),
    Parameter("query", "after", "The id of the last item of the page before."),
)
_RESPONSE = "/v1/responses/{response_id}"
_CONVERSATION = "/v1/conversations/{conversation_id}"

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
                {JSON: ChatCompletion, EVENTS: DATA_EVENT},
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
        "/v1/chat/completions",
        "List the stored chat completions.",
        "Returns the first page of the completions that were asked for with `store`; `after` leads "
        "to the pages behind it. `metadata[name]` with a value lists those that have it.",
        {200: Reply("A page of completions.", {JSON: CompletionPage})},
        parameters=(*_PAGING, Parameter("query", "model", "Lists those of this model only.")),
        error=ERROR,
    ),
    Operation(
        "get",
        _COMPLETION,
        "Get a stored chat completion.",
        "Returns the completion; one that is not whole has a `status`, perhaps an `error`, and no "
        "`finish_reason`.",
        {200: Reply("The completion.", {JSON: ChatCompletion})},
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "post",
        _COMPLETION,
        "Change the metadata of a stored chat completion.",
        "Replaces the metadata; nothing else can be changed.",
        {200: Reply("The completion after the change.", {JSON: ChatCompletion})},
        body=ChangedCompletion,
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "delete",
        _COMPLETION,
        "Delete a stored chat completion.",
        "Deletes the completion with its question and its conversation, if that has no other "
        "messages.",
        {200: Reply("It was deleted.", {JSON: DeletedCompletion})},
        refuses=(404, 409),
        error=ERROR,
    ),
    Operation(
        "get",
        f"{_COMPLETION}/messages",
        "List the messages that a stored chat completion answers.",
        "Returns the stored questions and answers of its branch, its own question last.",
        {200: Reply("A page of messages.", {JSON: MessagePage})},
        parameters=_PAGING,
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "post",
        "/v1/conversations",
        "Create a conversation as OpenAI's clients do.",
        "Creates an empty conversation, which a response names as `conversation`.",
        {200: Reply("The conversation was created.", {JSON: OpenAIConversation})},
        body=NewOpenAIConversation,
        refuses=(429,),
        error=ERROR,
    ),
    Operation(
        "get",
        _CONVERSATION,
        "Get a conversation as OpenAI's clients read it.",
        "Returns the conversation without its items.",
        {200: Reply("The conversation.", {JSON: OpenAIConversation})},
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "post",
        _CONVERSATION,
        "Change the metadata of a conversation.",
        "Replaces the metadata.",
        {200: Reply("The conversation after the change.", {JSON: OpenAIConversation})},
        body=ChangedOpenAIConversation,
        refuses=(404, 429),
        error=ERROR,
    ),
    Operation(
        "delete",
        _CONVERSATION,
        "Delete a conversation as OpenAI's clients do.",
        "Stops a live answer of the conversation, then deletes it with its items.",
        {200: Reply("It was deleted.", {JSON: DeletedOpenAIConversation})},
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "get",
        f"{_CONVERSATION}/items",
        "List the items of a conversation.",
        "Returns the items of the branch of the newest message: questions, answers, reasoning, "
        "function calls and their outputs.",
        {200: Reply("A page of items.", {JSON: ItemPage})},
        parameters=_PAGING,
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "get",
        f"{_CONVERSATION}/items/{{item_id}}",
        "Get an item of a conversation.",
        "Returns the item.",
        {200: Reply("The item.", {JSON: (InputMessage, FunctionCallOutput, OutputItem)})},
        refuses=(404,),
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
    Operation(
        "post",
        "/v1/responses",
        "Ask for a response as OpenAI's clients do.",
        "Sends `input` to the model, after the response `previous_response_id` or in the "
        "`conversation`, and returns the response: with `stream` as events, with `background` at "
        "once, else when it has ended. Unless `store` is false it is stored, and can be read, "
        "resumed and cancelled by its id. What this server cannot do is refused by name.",
        {
            200: Reply(
                "The response, as a stream of events or whole.",
                {JSON: ResponseObject, EVENTS: DATA_EVENT},
            ),
        },
        body=ResponseBody,
        parameters=(IDEMPOTENCY_KEY, ON_DISCONNECT),
        refuses=(404, 409, 422),
        error=ERROR,
    ),
    Operation(
        "get",
        _RESPONSE,
        "Get a response, or stream it.",
        "Returns the response as it is now. With `stream=true` it is a stream of its events, from "
        "the first, or of those after the `sequence_number` that `starting_after` has. A live "
        "response goes on, an ended one is replayed.",
        {200: Reply("The response.", {JSON: ResponseObject, EVENTS: DATA_EVENT})},
        parameters=(
            Parameter("query", "stream", "True: as a stream of events.", {"type": "boolean"}),
            Parameter(
                "query",
                "starting_after",
                "With `stream`: the number of the last event that the client has.",
                {"type": "integer", "minimum": 0, "maximum": LAST_NUMBER},
            ),
        ),
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "delete",
        _RESPONSE,
        "Delete a response.",
        "Deletes the response and what it was asked with, unless its conversation has others.",
        {200: Reply("It is deleted.", {JSON: DeletedResponse})},
        refuses=(404, 409),
        error=ERROR,
    ),
    Operation(
        "post",
        f"{_RESPONSE}/cancel",
        "Cancel a live response.",
        "Ends the response if it is live, and returns it. Cancelling an ended one changes nothing.",
        {200: Reply("The response.", {JSON: ResponseObject})},
        refuses=(404,),
        error=ERROR,
    ),
    Operation(
        "get",
        f"{_RESPONSE}/input_items",
        "List what a response was asked with.",
        "Returns a page of the input items of this request, the last first.",
        {200: Reply("The items.", {JSON: InputItemList})},
        parameters=(
            Parameter(
                "query",
                "limit",
                "Up to 100; 20 if it is left out.",
                {"type": "integer", "minimum": 1, "maximum": 100},
            ),
            Parameter(
                "query",
                "order",
                "`desc`, the default, or `asc`.",
                {"type": "string", "enum": ["asc", "desc"]},
            ),
            Parameter(
                "query", "after", "The id of the last item of the page before.", {"type": "string"}
            ),
        ),
        refuses=(404,),
        error=ERROR,
    ),
)
