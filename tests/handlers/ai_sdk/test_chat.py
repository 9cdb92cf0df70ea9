"""A chat of `useChat`: asking, going on, regenerating, editing."""

from base64 import b64encode
from typing import Any

import pytest

from app.server import Server
from model.client_ids import conversation_id_of
from tests.file_steps import PNG
from tests.handlers.ai_sdk.chats import (
    PATH,
    Chat,
    Stream,
    assistant,
    message_of,
    metadata_of,
    one,
    text_of,
    types_of,
    user,
)
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import messages_of
from tests.upstreams import ScriptedUpstream


def say(upstream: ScriptedUpstream, *tokens: str) -> None:
    upstream.tokens(*tokens)
    upstream.finish()
    upstream.next_request()


def sent(upstream: ScriptedUpstream) -> list[tuple[str, Any]]:
    """What the last request to the provider had."""
    messages = upstream.requests[-1].json["messages"]
    return [(message["role"], message["content"]) for message in messages]


async def stored(server: Server, conversation_id: str) -> list[dict[str, Any]]:
    return await messages_of(server, f"/api/v1/conversations/{conversation_id}")


@pytest.fixture
def chat(headrace: Server) -> Chat:
    return Chat(headrace.url)


@pytest.mark.gen_test
async def test_an_answer_is_one_step_of_a_message(chat: Chat, upstream: ScriptedUpstream) -> None:
    upstream.reasoning("Hm")
    say(upstream, "Hel", "lo")

    response = await chat.post(user("hi"))
    resumed = await chat.resume()

    assert "v1" == response.headers["x-vercel-ai-ui-message-stream"]
    assert resumed is not None
    assert [
        *("start", "start-step", "reasoning-start", "reasoning-delta", "reasoning-end"),
        *("text-start", "text-delta", "text-end", "finish-step", "finish"),
    ] == types_of(resumed)
    assert "Hello" == text_of(resumed)
    start, finish = resumed[0], resumed[-1]
    assert start["messageId"] == start["messageMetadata"]["answer_id"]
    assert ("stop", "complete") == (finish["finishReason"], finish["messageMetadata"]["status"])


@pytest.mark.gen_test
async def test_questions_follow_each_other(
    headrace: Server, chat: Chat, upstream: ScriptedUpstream
) -> None:
    say(upstream, "one")
    say(upstream, "two")
    first = await chat.ask(user("1"))

    second = await chat.ask(user("1"), message_of(first), user("2", "u2"))

    assert [("user", "1"), ("assistant", "one"), ("user", "2")] == sent(upstream)
    started = metadata_of(second)
    kept = await stored(headrace, started["conversation_id"])
    assert ["1", "one", "2", "two"] == [each["blocks"][0]["text"] for each in kept]
    assert kept[2]["parent_id"] == kept[1]["id"] == metadata_of(first)["answer_id"]


@pytest.mark.gen_test
async def test_the_last_message_is_enough(chat: Chat, upstream: ScriptedUpstream) -> None:
    say(upstream, "one")
    say(upstream, "two")
    await chat.ask(user("1"))

    body = {"id": chat.id, "message": user("2", "u2")}
    await call(chat.url, "POST", "/ai-sdk/chat", body)

    assert [("user", "1"), ("assistant", "one"), ("user", "2")] == sent(upstream)


@pytest.mark.parametrize("names_it", [True, False])
@pytest.mark.gen_test
async def test_regenerating_asks_the_stored_question_again(
    headrace: Server, chat: Chat, upstream: ScriptedUpstream, names_it: bool
) -> None:
    for text in ("one", "another", "a third"):
        say(upstream, text)
    answers = [await chat.ask(user("1"))]

    for _ in range(2):
        named = {"messageId": metadata_of(answers[-1])["answer_id"]} if names_it else {}
        again = await chat.ask(user("1"), trigger="regenerate-message", **named)
        answers.append(again)

    assert ["one", "another", "a third"] == list(map(text_of, answers))
    kept = await stored(headrace, metadata_of(answers[0])["conversation_id"])
    assert ["user", *["assistant"] * 3] == [each["role"] for each in kept]
    assert {kept[0]["id"]} == {each["parent_id"] for each in kept[1:]}
    assert 3 == len({one(chunks, "start")["messageId"] for chunks in answers})


@pytest.mark.parametrize("only_last", [True, False])
@pytest.mark.gen_test
async def test_an_edited_question_stands_beside_the_first_one(
    headrace: Server, chat: Chat, upstream: ScriptedUpstream, only_last: bool
) -> None:
    for text in ("one", "two", "2b"):
        say(upstream, text)
    first = await chat.ask(user("1"))
    second = await chat.ask(user("1"), message_of(first), user("2", "u2"))

    edited = user("2, please", "u2")
    if only_last:
        body = {"id": chat.id, "message": edited, "messageId": "u2"}
        await call(chat.url, "POST", "/ai-sdk/chat", body)
    else:
        await chat.ask(user("1"), message_of(first), edited, messageId="u2")

    assert [("user", "1"), ("assistant", "one"), ("user", "2, please")] == sent(upstream)
    kept = await stored(headrace, metadata_of(second)["conversation_id"])
    assert kept[2]["parent_id"] == kept[4]["parent_id"] == kept[1]["id"]


@pytest.mark.gen_test
async def test_a_first_question_may_be_edited_too(chat: Chat, upstream: ScriptedUpstream) -> None:
    say(upstream, "one")
    say(upstream, "1b")
    await chat.ask(user("1"))

    await chat.ask(user("1, please"), messageId="u1")

    assert [("user", "1, please")] == sent(upstream)


@pytest.mark.gen_test
async def test_the_same_request_is_answered_once(chat: Chat, upstream: ScriptedUpstream) -> None:
    say(upstream, "one")
    first = await chat.ask(user("1"))

    again = await chat.ask(user("1"))

    assert first == again
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_same_words_without_an_id_are_asked_again_once_they_are_answered(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    yes = {"id": chat.id, "message": {"role": "user", "parts": [{"type": "text", "text": "yes"}]}}
    upstream.fail(500)
    upstream.next_request()
    say(upstream, "one")
    say(upstream, "two")

    answers = [text_of(await chat.send(yes)) for _ in range(3)]

    assert ["", "one", "two"] == answers
    assert [("user", "yes"), ("assistant", "one"), ("user", "yes")] == sent(upstream)


@pytest.mark.gen_test
async def test_a_message_without_an_id_that_comes_again_meanwhile_is_asked_once(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    yes = {"id": chat.id, "message": {"role": "user", "parts": [{"type": "text", "text": "yes"}]}}
    say(upstream, "one")
    await chat.send(yes)
    upstream.tokens("t")
    streams = []
    for _ in range(2):
        reader = await Reader.open(chat.url, "POST", PATH, yes)
        streams.append(await Stream(reader).text("t"))
    upstream.tokens("wo")
    upstream.finish()

    assert ["two", "two"] == [text_of(await stream.end()) for stream in streams]
    assert 2 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_same_words_in_a_longer_history_are_another_question(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    yes = {"role": "user", "parts": [{"type": "text", "text": "yes"}]}
    no_ids = {"role": "assistant", "parts": [{"type": "text", "text": "one"}]}
    say(upstream, "one")
    say(upstream, "two")

    answers = [await chat.ask(yes), await chat.ask(yes, no_ids, yes)]
    again = await chat.ask(yes, no_ids, yes)

    assert ["one", "two", "two"] == list(map(text_of, [*answers, again]))
    assert 2 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_same_request_is_asked_again_if_its_answer_failed(
    headrace: Server, chat: Chat, upstream: ScriptedUpstream
) -> None:
    for _ in range(2):
        upstream.fail(500)
        upstream.next_request()
    say(upstream, "one")

    failed = [await chat.ask(user("1")) for _ in range(2)]
    answered = [await chat.ask(user("1")) for _ in range(2)]

    assert ["error", "error"] == [chunks[-1]["type"] for chunks in failed]
    assert ["one", "one"] == list(map(text_of, answered))
    kept = await stored(headrace, metadata_of(failed[0])["conversation_id"])
    assert ["user", *["assistant"] * 3] == [each["role"] for each in kept]


@pytest.mark.gen_test
async def test_a_client_with_a_history_of_its_own_is_asked_with_it(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    say(upstream, "two")
    said = {"type": "text", "text": "one"}

    await chat.ask(user("1"), assistant("theirs", said), user("2", "u2"))

    assert [("user", "1"), ("assistant", "one"), ("user", "2")] == sent(upstream)


@pytest.mark.gen_test
async def test_a_chat_goes_on_although_its_conversation_was_deleted(
    headrace: Server, chat: Chat, upstream: ScriptedUpstream
) -> None:
    say(upstream, "one")
    say(upstream, "two")
    first = await chat.ask(user("1"))
    path = f"/api/v1/conversations/{metadata_of(first)['conversation_id']}"
    await call(headrace.url, "DELETE", path)

    await chat.ask(user("1"), message_of(first), user("2", "u2"))

    assert [("user", "1"), ("assistant", "one"), ("user", "2")] == sent(upstream)


@pytest.mark.gen_test
async def test_a_conversation_of_the_list_is_a_chat(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    say(upstream, "one")
    say(upstream, "two")
    asked = await call(
        headrace.url,
        "POST",
        "/api/v1/chat",
        {"content": "1"},
        headers={"Accept": "application/json"},
    )
    chat = Chat(headrace.url, asked.body["conversation_id"])

    resumed = await chat.resume()
    body = {"id": chat.id, "message": user("2")}
    await call(chat.url, "POST", "/ai-sdk/chat", body)

    assert resumed is not None
    assert "one" == text_of(resumed)
    assert [("user", "1"), ("assistant", "one"), ("user", "2")] == sent(upstream)


@pytest.mark.gen_test
async def test_options_of_this_server_may_come_with_the_apps_own(
    headrace: Server, chat: Chat, upstream: ScriptedUpstream
) -> None:
    say(upstream, "one")
    system = {"id": "s", "role": "system", "parts": [{"type": "text", "text": "Be brief."}]}

    chunks = await chat.ask(system, user("1"), temperature=0.5, theirs={"any": "thing"})

    assert 0.5 == upstream.requests[0].json["temperature"]
    assert [("system", "Be brief."), ("user", "1")] == sent(upstream)
    assert conversation_id_of("local", "ai-sdk", chat.id) == metadata_of(chunks)["conversation_id"]


@pytest.mark.gen_test
async def test_an_image_is_sent_and_kept_also_when_its_question_is_asked_again(
    serve: Serving, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    settings = providers["openai"] | {"input_kinds": ["image", "file"]}
    server = await serve.start(providers={"openai": settings})
    chat = Chat(server.url)
    url = f"data:image/png;base64,{b64encode(PNG).decode()}"
    asked = user("q", "u1", {"type": "file", "mediaType": "image/png", "url": url})
    upstream.fail(500)
    upstream.next_request()
    say(upstream, "one")
    say(upstream, "two")

    await chat.ask(asked)
    answered = await chat.ask(asked)
    named = {"messageId": one(answered, "start")["messageId"]}
    await chat.ask(asked, trigger="regenerate-message", **named)

    for request in upstream.requests:
        [message] = request.json["messages"]
        assert {"type": "image_url", "image_url": {"url": url}} in message["content"]
    kept = await stored(server, metadata_of(answered)["conversation_id"])
    assert ["text", "image"] == [block["type"] for block in kept[0]["blocks"]]
    assert 4 == len(kept)


@pytest.mark.gen_test
async def test_a_file_is_an_image_only_if_its_type_says_so(
    serve: Serving, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    settings = providers["openai"] | {"input_kinds": ["image", "file"]}
    server = await serve.start(providers={"openai": settings})
    chat = Chat(server.url)
    url = f"data:application/pdf;base64,{b64encode(b'%PDF-1.4 x').decode()}"
    say(upstream, "one")

    chunks = await chat.ask(user("q", "u1", {"type": "file", "url": url, "filename": "a.pdf"}))

    kept = await stored(server, metadata_of(chunks)["conversation_id"])
    assert ["text", "file"] == [block["type"] for block in kept[0]["blocks"]]


@pytest.mark.gen_test
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_chat_goes_on_after_an_image_that_is_longer_than_a_body_without_files(
    serve: Serving, upstream: ScriptedUpstream, providers: dict[str, Any], is_known: bool
) -> None:
    settings = providers["openai"] | {"input_kinds": ["image", "file"]}
    server = await serve.start(providers={"openai": settings}, limits={"max_body_bytes": 10_000})
    chat = Chat(server.url)
    url = f"data:image/png;base64,{b64encode(PNG + bytes(10_000)).decode()}"
    asked = user("q", "u1", {"type": "file", "mediaType": "image/png", "url": url})
    say(upstream, "one")
    say(upstream, "two")

    shown = {"type": "text", "text": "one"}
    answer = message_of(await chat.ask(asked)) if is_known else assistant("another", shown)
    chunks = await chat.ask(asked, answer, user("go on", "u2"))
    too_long = await chat.post(asked, answer, user("x" * 10_000, "u3"))

    assert ("two" if is_known else "one") == text_of(chunks)
    assert (413, "body_too_large") == (too_long.status, too_long.code)
