"""The API's description, held against the standard, the route table and real responses."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tornado.web import RequestHandler

import handlers.page
from app.application import ROUTES
from app.server import Server
from handlers.authorization import Access
from handlers.errors import FAILURE_STATUSES
from handlers.openapi.document import document
from tests.readers import Reader, Response, call
from tests.steps import JSON, LATER
from tests.upstreams import ScriptedUpstream

DOCUMENT = document(asks_for_keys=True)

_METHODS = ("get", "post", "put", "patch", "delete")


def _served() -> dict[tuple[str, str], Access]:
    """What the route table serves, but for the page: methods and paths, and to whom."""
    return {
        (method, re.sub(r"\([^)]+\+\)", "{}", pattern.replace("\\.", "."))): handler.access
        for pattern, handler in ROUTES
        if (pattern, handler) not in handlers.page.routes
        for method in _METHODS
        if getattr(handler, method) is not getattr(RequestHandler, method)
    }


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    documented = {
        (method, re.sub(r"{\w+}", "{}", path)): operation["security"] == []
        for path, each in DOCUMENT["paths"].items()
        for method, operation in each.items()
    }

    served = {route: access is Access.EVERYBODY for route, access in _served().items()}
    assert served == documented  # and each asks for a key where it is said to


@pytest.mark.slow
@pytest.mark.parametrize("asks_for_keys", [True, False])
def test_the_document_is_openapi_as_the_standard_has_it(asks_for_keys: bool) -> None:
    OpenAPIV31SpecValidator(document(asks_for_keys=asks_for_keys)).validate()


def test_the_types_keep_the_names_by_which_generated_clients_know_them() -> None:
    bodies = (
        *("Accepted", "ChangedConversation", "Chat", "Conversation", "FailedAnswer", "GivenTicket"),
        *("Grace", "Health", "List_Conversation_", "List_Message_", "List_ModelEntry_", "Me"),
        *("Message", "ModelEntry", "NewConversation", "Options", "Problem", "Question", "Ready"),
        *("QuestionLimits", "Refusal", "TextPart", "ToolResultPart", "ImagePart", "FilePart"),
        *("ImageUrlPart", "ImageUrl", "DocumentPart", "OpenAIFile", "Base64Source", "UrlSource"),
        *("GeminiTextPart", "GeminiDataPart", "GeminiData"),
        *("GeminiSnakeDataPart", "GeminiSnakeData", "GeminiFilePart", "GeminiFile"),
        *("GeminiSnakeFilePart", "GeminiSnakeFile", "QwenImagePart"),
        *("ToolDefinition", "ChosenTool", "JsonObjectFormat", "JsonSchemaFormat"),
    )
    ai_sdk = ("UIChat", "UIMessage", "UITool")
    ag_ui = ("RunInput", "AgUiTool", "AgUiContext")
    openai = (
        *("AllowedTools", "AssistantMessage", "CalledFunction", "ChatAllowedTools"),
        *("ChatCompletion", "ChatCompletionBody"),
        *("ChatFile", "ChatFileData", "ChatFunction", "ChatFunctionCall", "ChatImage"),
        *("ChatImageUrl", "ChatJsonObject", "ChatJsonSchema", "ChatRefusal", "ChatSchema"),
        *("ChatText", "ChatTool", "ChatToolCall", "Choice", "ChosenFunction", "ChosenName"),
        *("CompletionMessage", "CompletionTokens", "CompletionToolCall", "CompletionUsage"),
        *("DeveloperMessage", "ErrorBody", "ErrorObject", "OpenAIModel", "OpenAIModels"),
        *("ChangedCompletion", "CompletionPage", "DeletedCompletion", "MessagePage"),
        *("PromptTokens", "StreamOptions", "SystemMessage", "TextFormat", "ToolMessage"),
        *("UserMessage", "ConversationName", "DeletedResponse", "FunctionCall"),
        *("FunctionCallOutput", "IncompleteDetails", "InputFile", "InputImage", "InputMessage"),
        *("InputText", "InputTokens", "InputItemList", "NamedConversation", "OutputMessage"),
        *("NewOpenAIConversation", "ChangedOpenAIConversation", "OpenAIConversation"),
        *("DeletedOpenAIConversation", "ItemPage"),
        *("OutputText", "OutputTokens", "AnyTextFormat", "ReasoningItem", "ReasoningOptions"),
        *("ResponseBody", "ResponseError", "ResponseJsonObject", "ResponseJsonSchema"),
        *("ResponseObject", "ResponseStreamOptions", "ResponseUsage", "SummaryText", "TextOptions"),
    )
    events = ("DeltaEvent", "EndEvent", "Event", "ResetEvent", "StartEvent", "ToolCallDelta")
    stored = (
        *("Failure", "FileBlock", "ImageBlock", "ProviderData", "ReasoningBlock", "Status"),
        *("TextBlock", "Timing", "ToolCallBlock", "ToolResultBlock", "Usage"),
    )

    others = {*ai_sdk, *ag_ui, *openai}
    assert {*bodies, *others, *events, *stored} == DOCUMENT["components"]["schemas"].keys()


def test_a_server_that_asks_for_no_key_says_so() -> None:
    operations = [
        operation
        for path in document(asks_for_keys=False)["paths"].values()
        for operation in path.values()
    ]

    assert len(operations) > 10
    assert [] == [operation for operation in operations if operation["security"] != []]


def test_every_way_in_which_an_answer_may_fail_is_documented() -> None:
    asked = DOCUMENT["paths"]["/api/v1/chat"]["post"]["responses"]

    assert {str(int(status)) for status in FAILURE_STATUSES} <= asked.keys()


def _described(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Where the document has to have a description, and the one that it has there."""
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from _described(each, f"{place}/{index}")
    if not isinstance(node, dict):
        return
    for name, each in node.items():
        if name == "responses" or (name == "schemas" and place == "/components"):
            found = {key: value for key, value in each.items() if "$ref" not in value}
        elif name in ("properties", "headers", "securitySchemes"):
            found = each
        elif name == "parameters" and isinstance(each, list):  # else it is a field of that name
            found = {parameter["name"]: parameter for parameter in each}
        else:
            found = {}
        for key, value in found.items():
            yield f"{place}/{name}/{key}", value.get("description")
        if name not in ("example", "examples"):
            yield from _described(each, f"{place}/{name}")


def test_everything_is_described_in_sentences() -> None:
    described = dict(_described(DOCUMENT))
    operations = {
        f"{path}/{method}/{field}": operation.get(field)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        for field in ("summary", "description")
    }

    assert len(described) > 250  # else the walk misses some
    short = {
        place: words
        for place, words in {**described, **operations}.items()
        if not re.fullmatch(r"[`A-Z](?s:.*)\.", words or "") or len(words.split()) < 2
    }
    assert {} == short


def test_an_operation_id_is_made_of_method_and_path() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            words = re.findall(r"[a-z0-9_]+", path)
            assert "_".join([method, *words]) == operation["operationId"]


def test_patterns_are_such_as_javascript_reads() -> None:
    found = re.findall(r'"pattern": "([^"]*)"', json.dumps(DOCUMENT))

    assert found
    assert [] == [pattern for pattern in found if re.search(r"\\[AZz]|\(\?", pattern)]


def _check(schema: dict[str, Any], value: object) -> None:
    """Hold `value` against a schema of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(whole, format_checker=checker).validate(value)


def _resolved(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply, or the one that it refers to."""
    _, _, name = reply.get("$ref", "").rpartition("/")
    return DOCUMENT["components"]["responses"][name] if name else reply


class Described:
    """Calls operations, and holds each response against what the document says of it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.seen: set[tuple[str, str, str]] = set()

    async def call(
        self, method: str, template: str, path: str, *rest: Any, **named: Any
    ) -> Response:
        response = await call(self._url, method.upper(), path, *rest, **named)
        replies = DOCUMENT["paths"][template][method]["responses"]
        self.seen.add((method, template, str(response.status)))
        reply = _resolved(replies[str(response.status)])
        needed = {name.lower() for name, header in reply["headers"].items() if header["required"]}
        assert needed <= response.headers.keys()
        content = reply.get("content", {})
        if not content:
            assert b"" == response.body
            return response
        kind = response.headers["content-type"].partition(";")[0]
        if kind == "application/json":
            _check(content[kind]["schema"], response.body)
        else:
            assert kind in content
        return response


@pytest.mark.slow
@pytest.mark.gen_test
async def test_real_responses_are_as_they_are_described(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    described = Described(headrace.url)
    conversations = "/api/v1/conversations"
    one = f"{conversations}/{{conversation_id}}"
    upstream.reasoning("hm")
    upstream.tokens("Hello")
    upstream.finish()
    upstream.next_request()
    upstream.fail(500, b"<html>")
    upstream.next_request()
    upstream.tokens("half")

    made = await described.call("post", conversations, conversations, {"metadata": {"a": "b"}})
    path = f"{conversations}/{made.body['id']}"
    await described.call("post", conversations, conversations, {"titel": "misspelt"})
    await described.call("get", conversations, f"{conversations}?limit=1")
    await described.call("get", conversations, f"{conversations}?limit=0")
    await described.call("get", one, path)
    await described.call("get", one, f"{conversations}/none")
    await described.call("patch", one, path, {"title": "t"})
    asked = {"content": "q"}
    await described.call("post", f"{one}/messages", f"{path}/messages", asked, headers=JSON)
    await described.call("post", f"{one}/messages", f"{path}/messages", asked)  # a failed stream
    chat = "/api/v1/chat"
    later = await described.call("post", chat, chat, asked, headers=LATER)
    busy = {**asked, "conversation_id": later.body["conversation_id"]}
    conflict = await described.call("post", chat, chat, busy)
    answers, answer = "/api/v1/answers/{answer_id}", f"/api/v1/answers/{later.body['answer_id']}"
    running = "/api/v1/answers"
    listed = await described.call("get", running, f"{running}?status=live")
    assert later.body["answer_id"] == listed.body["data"][0]["id"]
    await described.call("get", running, f"{running}?status=ended")
    await described.call("post", f"{answers}/stop", f"{answer}/stop")
    events = f"{answers}/events"
    await described.call("get", events, f"{answer}/events")
    await described.call("get", events, f"{answer}/events?after=4-end")
    await described.call("get", events, f"{answer}/events?after=x")
    await described.call("post", f"{answers}/ticket", f"{answer}/ticket")
    again = await described.call(
        "post", f"{answers}/regenerate", f"{answer}/regenerate", headers=LATER
    )
    await described.call(
        "post", f"{answers}/stop", f"/api/v1/answers/{again.body['answer_id']}/stop"
    )
    await described.call("get", f"{one}/messages", f"{path}/messages")
    await described.call("get", "/api/v1/files/{file_id}", "/api/v1/files/none")
    await described.call("delete", one, path)
    for plain in (
        "/api/v1/models",
        "/api/v1/me",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/openapi.json",
        "/api/docs",
    ):
        await described.call("get", plain, plain)

    upstream.next_request()
    upstream.tokens("x")
    upstream.finish()
    chat_body = {"id": "c1", "message": {"role": "user", "parts": [{"type": "text", "text": "q"}]}}
    ui_chat, ui_stream = "/ai-sdk/chat", "/ai-sdk/chat/{chat_id}/stream"
    await described.call("post", ui_chat, ui_chat, chat_body)
    await described.call("post", ui_chat, ui_chat, {"id": "c1"})
    await described.call("get", ui_stream, "/ai-sdk/chat/c1/stream")
    await described.call("get", ui_stream, "/ai-sdk/chat/none/stream")
    await described.call("post", "/ai-sdk/chat/{chat_id}/stop", "/ai-sdk/chat/c1/stop")

    upstream.next_request()
    upstream.tokens("x")
    upstream.finish()
    message = {"id": "m1", "role": "user", "content": "q"}
    run = {"threadId": "t1", "runId": "r1", "messages": [message]}
    await described.call("post", "/ag-ui", "/ag-ui", run)
    await described.call("post", "/ag-ui", "/ag-ui", {"threadId": "t1"})
    for query in ("runId=r1&offset=-1", "runId=none", "threadId=t1", "threadId=none", ""):
        await described.call("get", "/ag-ui", f"/ag-ui?{query}")

    assert later.body["answer_id"] == conflict.body["error"]["answer_id"]
    called = {(method, path) for method, path, _ in described.seen}
    native = {path: each for path, each in DOCUMENT["paths"].items() if path[:4] != "/v1/"}
    assert called == {(m, path) for path, each in native.items() for m in each}


@pytest.mark.gen_test
async def test_a_failed_answer_as_json_is_as_it_is_described(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.fail(401, {"error": {"code": "invalid_api_key"}})

    failed = await Described(headrace.url).call(
        "post", "/api/v1/chat", "/api/v1/chat", {"content": "q"}, headers=JSON
    )

    assert 502 == failed.status


_EVENTS = {"start": "StartEvent", "delta": "DeltaEvent", "reset": "ResetEvent", "end": "EndEvent"}


@pytest.mark.gen_test
async def test_real_events_are_as_they_are_described(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.sample("openai-tools.sse")
    upstream.next_request()
    upstream.reasoning("hm")
    upstream.tokens("half")
    upstream.cut()
    readers = [await Reader.ask(headrace.url), await Reader.ask(headrace.url)]
    for reader in readers:
        await reader.end()
    readers.append(await Reader.come_back(headrace.url, readers[1].answer_id, "999"))
    await readers[-1].end()

    seen = [event for reader in readers for event in reader.seen]

    assert _EVENTS.keys() == {event.event for event in seen}
    assert {"text", "reasoning", "tool_call"} <= {name for event in seen for name in event.data}
    for event in seen:
        schema = DOCUMENT["components"]["schemas"][_EVENTS[event.event]]
        _check(schema, event.data)
        assert event.data.keys() <= schema["properties"].keys()


@pytest.mark.gen_test
async def test_the_page_names_all_of_it_and_loads_nothing(headrace: Server) -> None:
    page = await call(headrace.url, "GET", "/api/docs")

    text = page.body.decode()
    style = text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert [] == re.findall(r"<script|<link|<img|https?://|\son\w+=|\sstyle=", text)
    for path in DOCUMENT["paths"]:
        assert path in text
    for schema in DOCUMENT["components"]["schemas"]:
        assert f'id="{schema}"' in text


@pytest.mark.gen_test
async def test_whoever_is_not_let_in_reads_no_document(headrace: Server) -> None:
    forwarded = {"Via": "1.1 proxy"}
    told = await asyncio.gather(
        *(
            call(headrace.url, "GET", f"/api/{name}", headers=forwarded)
            for name in ("openapi.json", "docs")
        )
    )

    assert [403, 403] == [each.status for each in told]
