"""Regenerated answers and edited questions: siblings, each with the history of its own branch."""

import asyncio
from random import Random
from typing import Any

import pytest

from app.server import Server
from handlers.base import BaseHandler
from tests.faults import FaultyStorage
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import JSON, LATER, SHORT_LEASE, messages_of, new_conversation
from tests.upstreams import ScriptedUpstream

KEY = {"Idempotency-Key": "a client's key"}

Message = dict[str, Any]


class Talk:
    """A conversation, and what went upstream for it."""

    def __init__(self, server: Server, upstream: ScriptedUpstream, path: str) -> None:
        self.url = server.url
        self.path = path
        self._server = server
        self._upstream = upstream

    @classmethod
    async def begin(cls, server: Server, upstream: ScriptedUpstream, answers: int) -> "Talk":
        """Have so many answered, by a0, a1 and so on; to what follows the upstream is silent."""
        for number in range(answers):
            upstream.tokens(f"a{number}")
            upstream.finish()
            upstream.next_request()
        return cls(server, upstream, await new_conversation(server))

    async def ask(self, content: str, **fields: object) -> Message:
        """Have a question answered; returns the answer."""
        return await self._answered(f"{self.path}/messages", {"content": content, **fields})

    async def regenerate(self, answer: Message, **fields: object) -> Message:
        """Have its question answered once more."""
        return await self._answered(regenerating(answer["id"]), fields)

    async def post(self, path: str, body: object = None, **headers: str) -> Response:
        """Whatever comes of it."""
        return await call(self.url, "POST", path, body, headers=headers)

    async def messages(self) -> list[Message]:
        return await messages_of(self._server, self.path)

    @property
    def sent(self) -> list[str]:
        """What went upstream the last time."""
        return [turn["content"] for turn in self._upstream.requests[-1].json["messages"]]

    async def _answered(self, path: str, body: object) -> Message:
        answered = await self.post(path, body, **JSON)
        assert 200 == answered.status, answered.body
        answer: Message = answered.body
        return answer


def regenerating(answer_id: str) -> str:
    return f"/api/v1/answers/{answer_id}/regenerate"


def text(message: Message) -> str:
    return "".join(block["text"] for block in message["blocks"])


def refusal(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


# Regenerating


@pytest.mark.gen_test
async def test_a_regenerated_answer_stands_beside_the_one_there_was(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=3)
    first = await talk.ask("q0")
    second = await talk.ask("q1")
    before = await talk.messages()

    again = await talk.regenerate(second)

    assert (["q0", "a0", "q1"], "a2") == (talk.sent, text(again))
    messages = await talk.messages()
    assert [*before, again] == messages
    q0, q1 = first["parent_id"], second["parent_id"]
    assert [None, q0, first["id"], q1, q1] == [message["parent_id"] for message in messages]


@pytest.mark.gen_test
async def test_an_answer_in_the_middle_is_regenerated_without_what_came_after(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=3)
    first = await talk.ask("q0")
    await talk.ask("q1")
    await talk.regenerate(first)
    assert ["q0"] == talk.sent


@pytest.mark.gen_test
async def test_regenerating_streams_as_asking_does_and_names_the_question_there_was(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=2)
    first = await talk.ask("q0")
    reader = await Reader.open(talk.url, "POST", regenerating(first["id"]))
    start = await reader.start()
    known = {"conversation_id": first["conversation_id"], "question_id": first["parent_id"]}
    assert known.items() <= start.items()
    assert first["id"] != start["answer_id"]
    await reader.text("a1")
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_a_regenerated_answer_can_be_read_later(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=2)
    first = await talk.ask("q0")
    accepted = await talk.post(regenerating(first["id"]), **LATER)
    assert (202, first["parent_id"]) == (accepted.status, accepted.body["question_id"])
    reader = await Reader.open(talk.url, "GET", accepted.body["events_url"])
    await reader.text("a1")
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_whoever_leaves_a_regenerated_answer_stops_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=1)
    first = await talk.ask("q0")
    reader = await Reader.open(talk.url, "POST", regenerating(first["id"]))
    await upstream.request(1)
    reader.close()
    await upstream.closed.wait()
    await headrace.relay.idle()
    assert "abandoned" == (await talk.messages())[-1]["status"]


@pytest.mark.gen_test
async def test_an_answer_is_regenerated_by_its_own_model_unless_another_is_named(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=3)
    first = await talk.ask("q0", model="openai/own", temperature=0.5, system="Be brief.")
    again = await talk.regenerate(first)
    assert ["q0"] == talk.sent  # the rest of what a question said is not kept
    other = await talk.regenerate(again, model="openai/other", temperature=1, system="Go on.")
    assert ["Go on.", "q0"] == talk.sent
    assert ["openai/own", "openai/other"] == [again["model"], other["model"]]
    sent = [request.json for request in upstream.requests]
    assert ["own", "own", "other"] == [each["model"] for each in sent]
    assert [0.5, None, 1] == [each.get("temperature") for each in sent]


@pytest.mark.gen_test
async def test_a_failed_answer_is_regenerated_without_what_there_was_of_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    upstream.cut()
    upstream.next_request()
    talk = await Talk.begin(headrace, upstream, answers=1)
    failed = await talk.post(f"{talk.path}/messages", {"content": "q0"}, **JSON)
    assert "stream_broken" == failed.body["error"]["code"]
    again = await talk.regenerate(failed.body["message"])
    assert (["q0"], "complete") == (talk.sent, again["status"])


@pytest.mark.gen_test
async def test_only_an_answer_of_ones_own_can_be_regenerated(
    headrace: Server, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=1)
    first = await talk.ask("q0")
    for other in (first["parent_id"], "none", f"{first['conversation_id']}-none"):
        assert (404, "not_found") == refusal(await talk.post(regenerating(other)))
    monkeypatch.setattr(BaseHandler, "user", "somebody else")
    assert (404, "not_found") == refusal(await talk.post(regenerating(first["id"])))
    assert 1 == len(upstream.requests)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": "q1"}, "invalid_body"),
        ({"parent_id": None}, "invalid_body"),
        ({"temperature": 3}, "invalid_body"),
        ({"model": "nobody/nothing"}, "unknown_model"),
    ],
)
@pytest.mark.gen_test
async def test_regenerating_takes_the_options_of_asking_and_nothing_else(
    headrace: Server, upstream: ScriptedUpstream, body: object, code: str
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=1)
    first = await talk.ask("q0")
    assert (400, code) == refusal(await talk.post(regenerating(first["id"]), body))
    assert 2 == len(await talk.messages())


@pytest.mark.gen_test
async def test_while_one_answer_is_live_no_branch_gets_another(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=1)
    first = await talk.ask("q0")
    live = (await talk.post(regenerating(first["id"]), **LATER)).body["answer_id"]
    for path, body in (
        (regenerating(first["id"]), None),
        (regenerating(live), None),
        (f"{talk.path}/messages", {"content": "q0, edited", "parent_id": None}),
        (f"{talk.path}/messages", {"content": "q1", "parent_id": first["id"]}),
        (f"{talk.path}/messages", {"content": "q1", "parent_id": live}),
    ):
        busy = await talk.post(path, body)
        assert (409, "conversation_busy") == refusal(busy)
        assert live == busy.body["error"]["answer_id"]
    assert 3 == len(await talk.messages())
    assert 200 == (await talk.post(f"/api/v1/answers/{live}/stop")).status


# Editing


@pytest.mark.gen_test
async def test_an_edited_question_goes_on_from_where_the_first_wording_did(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=4)
    first = await talk.ask("q0")
    await talk.ask("q1")
    before = await talk.messages()

    edited = await talk.ask("q1, edited", parent_id=first["id"])

    assert ["q0", "a0", "q1, edited"] == talk.sent
    messages = await talk.messages()
    assert before == messages[:4]
    assert ["q1, edited", "a2"] == [text(message) for message in messages[4:]]
    assert [first["id"], edited["parent_id"]] == [message["parent_id"] for message in messages[4:]]
    await talk.ask("q2")  # the newest answer is what goes on unless something is said
    assert ["q0", "a0", "q1, edited", "a2", "q2"] == talk.sent


@pytest.mark.gen_test
async def test_an_edited_first_question_has_no_history(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=3)
    first = await talk.ask("q0", parent_id=None)  # which it does not have either
    await talk.ask("q0, edited", parent_id=None)
    assert ["q0, edited"] == talk.sent
    assert [None, None] == [each["parent_id"] for each in (await talk.messages())[::2]]
    body = {"content": "q1", "conversation_id": first["conversation_id"], "parent_id": first["id"]}
    assert 200 == (await talk.post("/api/v1/chat", body, **JSON)).status
    assert ["q0", "a0", "q1"] == talk.sent


@pytest.mark.gen_test
async def test_what_is_no_answer_of_the_conversation_is_no_parent(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=3)
    first = await talk.ask("q0")
    elsewhere = await Talk(headrace, upstream, await new_conversation(headrace)).ask("q0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseHandler, "user", "somebody else")
        not_ours = await Talk(headrace, upstream, await new_conversation(headrace)).ask("q0")
        body = {"content": "q1", "parent_id": first["id"]}
        assert (404, "not_found") == refusal(await talk.post(f"{talk.path}/messages", body))

    for parent in (first["parent_id"], elsewhere["id"], not_ours["id"], "none", ""):
        body = {"content": "q1", "parent_id": parent}
        assert (400, "unknown_parent") == refusal(await talk.post(f"{talk.path}/messages", body))
        assert (400, "unknown_parent") == refusal(await talk.post("/api/v1/chat", body))
    body = {"content": "q1", "parent_id": 1}
    assert (400, "invalid_body") == refusal(await talk.post(f"{talk.path}/messages", body))
    assert 3 == len(upstream.requests)
    assert 2 == len(await talk.messages())
    listed = (await call(talk.url, "GET", "/api/v1/conversations")).body["data"]
    assert 2 == len(listed)  # no new one was made for a question with a parent


# The history that goes along


@pytest.mark.slow
@pytest.mark.gen_test
async def test_each_branch_is_followed_at_every_depth(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    chance = Random(4)
    talk = await Talk.begin(headrace, upstream, answers=40)
    said: dict[str | None, list[str]] = {None: []}  # all that led to an answer, and the answer
    answers: list[Message] = []
    for number in range(40):
        if answers and chance.random() < 0.25:
            beside = chance.choice(answers)
            answer = await talk.regenerate(beside)
            expected = said[beside["id"]][:-1]
        else:
            parent = list(said)[-1] if chance.random() < 0.5 else chance.choice(list(said))
            answer = await talk.ask(f"q{number}", parent_id=parent)
            expected = [*said[parent], f"q{number}"]
        assert expected == talk.sent
        said[answer["id"]] = [*expected, f"a{number}"]
        answers.append(answer)


@pytest.mark.gen_test
async def test_a_branch_longer_than_one_read_of_the_store_goes_along_whole(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=26)
    trunk = [await talk.ask(f"q{number}") for number in range(12)]
    await talk.ask("q12, edited", parent_id=trunk[0]["id"])
    for number in range(13, 25):
        await talk.ask(f"q{number}")
    branch = [said for n in range(12, 25) for said in (f"q{n}", f"a{n}")]
    branch[0] = "q12, edited"
    assert ["q0", "a0", *branch[:-1]] == talk.sent
    await talk.ask("q25", parent_id=trunk[-1]["id"])
    assert [*(said for n in range(12) for said in (f"q{n}", f"a{n}")), "q25"] == talk.sent


@pytest.mark.gen_test
async def test_what_another_branch_said_takes_no_room(
    serve: Serving, providers: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, context={"max_chars": 30})
    talk = await Talk.begin(server, upstream, answers=4)
    first = await talk.ask("0" * 10)
    await talk.ask("1" * 20, parent_id=first["id"])
    second = await talk.ask("2" * 10, parent_id=first["id"])
    assert ["0" * 10, "a0", "2" * 10] == talk.sent
    await talk.ask("3" * 10, parent_id=second["id"])
    assert ["2" * 10, "a2", "3" * 10] == talk.sent


# Under an idempotency key


@pytest.mark.gen_test
async def test_a_regeneration_sent_twice_is_one_answer(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=1)
    first = await talk.ask("q0")
    path = regenerating(first["id"])
    tries = [asyncio.create_task(talk.post(path, **KEY, **JSON)) for _ in range(20)]
    await upstream.request(1)
    upstream.tokens("a1")
    upstream.finish()
    answered = await asyncio.gather(*tries)
    answered.append(await talk.post(path, {}, **KEY, **JSON))
    assert {200} == {response.status for response in answered}
    assert {"a1"} == {text(response.body) for response in answered}
    assert 1 == len({response.body["id"] for response in answered})
    assert (2, 3) == (len(upstream.requests), len(await talk.messages()))


@pytest.mark.gen_test
async def test_a_key_tells_asking_regenerating_and_branches_apart(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    talk = await Talk.begin(headrace, upstream, answers=3)
    first = await talk.ask("q0")
    second = await talk.ask("q0")
    asking = f"{talk.path}/messages"
    used = await talk.post(asking, {"content": "q0", "parent_id": first["id"]}, **KEY, **JSON)
    assert 200 == used.status
    for path, body in (
        (asking, {"content": "q0"}),
        (asking, {"content": "q0", "parent_id": None}),
        (asking, {"content": "q0", "parent_id": second["id"]}),
        (regenerating(used.body["id"]), {}),
        (regenerating(first["id"]), {}),
    ):
        reused = await talk.post(path, body, **KEY, **JSON)
        assert (422, "idempotency_key_reused") == refusal(reused)
    assert 3 == len(upstream.requests)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.gen_test
async def test_regenerating_again_after_trouble_with_the_store_is_answered_once(
    store: FaultyStorage,
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    kept: bool,
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.tokens("a")
    upstream.finish()
    talk = Talk(server, upstream, await new_conversation(server))
    path = regenerating((await talk.ask("q0"))["id"])
    store.fail("ask", kept=kept, times=1)
    assert (503, "storage_unavailable") == refusal(await talk.post(path, **KEY, **JSON))
    async with asyncio.timeout(5):
        while (answered := await talk.post(path, **KEY, **JSON)).status != 200:
            assert "storage_unavailable" == answered.body["error"]["code"]
    messages = await talk.messages()
    assert answered.body == messages[-1]
    assert ["user"] == [message["role"] for message in messages if message["parent_id"] is None]
    assert 2 == sum(request.answered for request in upstream.requests)
