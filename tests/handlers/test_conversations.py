"""Conversations over HTTP. They are answered without any upstream: the demo stands in."""

import asyncio

import pytest

from app.server import Server
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON


@pytest.fixture
def url(io_loop, serve: Serving) -> str:
    server: Server = io_loop.run_sync(serve.start)
    return server.url


@pytest.mark.gen_test
async def test_a_conversation_is_made_shown_changed_and_deleted(url: str) -> None:
    made = await call(
        url, "POST", "/api/v1/conversations", {"title": "水", "metadata": {"$gt": "a.b"}}
    )
    path = f"/api/v1/conversations/{made.body['id']}"
    assert (201, path) == (made.status, made.headers["location"])
    assert ("水", {"$gt": "a.b"}) == (made.body["title"], made.body["metadata"])
    assert "user" not in made.body

    changed = await call(url, "PATCH", path, {"title": None, "system": "Be brief."})
    assert (200, None, "Be brief.") == (
        changed.status,
        changed.body["title"],
        changed.body["system"],
    )
    assert changed.body == (await call(url, "GET", path)).body

    assert 204 == (await call(url, "DELETE", path)).status
    assert 404 == (await call(url, "DELETE", path)).status
    gone = await call(url, "GET", path)
    assert (404, "not_found") == (gone.status, gone.body["error"]["code"])


@pytest.mark.gen_test
async def test_the_list_is_newest_first_and_goes_on_behind_its_cursor(url: str) -> None:
    made = [
        (await call(url, "POST", "/api/v1/conversations", {"title": str(n)})).body["id"]
        for n in range(5)
    ]
    first = (await call(url, "GET", "/api/v1/conversations?limit=3")).body
    rest = (await call(url, "GET", f"/api/v1/conversations?limit=3&after={first['next']}")).body
    assert set(made) == {entry["id"] for entry in first["data"] + rest["data"]}
    assert [3, 2, None] == [len(first["data"]), len(rest["data"]), rest["next"]]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_first_question_that_can_be_seen_gives_the_title(url: str) -> None:
    path, kept = "/api/v1/conversations", []
    asked = await call(url, "POST", "/api/v1/chat", {"content": "\u200b\u2060"}, headers=JSON)
    name = asked.body["conversation_id"]
    for question in ("\u202e\ufeff", "🇩🇪" * 21 + "\n", "Another one"):
        kept.append((await call(url, "GET", f"{path}/{name}")).body["title"])
        await call(url, "POST", f"{path}/{name}/messages", {"content": question}, headers=JSON)
    kept.append((await call(url, "GET", f"{path}/{name}")).body["title"])

    assert [None, None, "🇩🇪" * 20, "🇩🇪" * 20] == kept


@pytest.mark.slow
@pytest.mark.parametrize("title", ["", " \n", "\u200b", "\u202e\ufe0f", None])
@pytest.mark.gen_test
async def test_a_title_of_which_nothing_can_be_seen_is_none(url: str, title: str | None) -> None:
    path = "/api/v1/conversations"
    made = await call(url, "POST", path, {"title": title})
    named = (await call(url, "POST", path, {"title": "\u200b named\n"})).body

    changed = await call(url, "PATCH", f"{path}/{named['id']}", {"title": title})

    assert [None, "\u200b named\n", None] == [
        made.body["title"],
        named["title"],
        changed.body["title"],
    ]


@pytest.mark.gen_test
async def test_the_list_by_activity_has_those_first_that_were_talked_in(url: str) -> None:
    path = "/api/v1/conversations"
    made = [(await call(url, "POST", path, {"title": str(n)})).body["id"] for n in range(4)]
    reader = await Reader.open(url, "POST", f"{path}/{made[1]}/messages", {"content": "q"})
    await reader.start()
    await asyncio.sleep(0.002)  # times are kept to the millisecond
    await call(url, "PATCH", f"{path}/{made[0]}", {"title": "renamed"})

    first = (await call(url, "GET", f"{path}?order=updated&limit=2")).body
    rest = (await call(url, "GET", f"{path}?order=updated&after={first['next']}")).body
    created = (await call(url, "GET", f"{path}?order=created&limit=2")).body

    assert made[:2] == [entry["id"] for entry in first["data"]]
    assert ({*made[2:]}, None) == ({entry["id"] for entry in rest["data"]}, rest["next"])
    for after, order in ((first["next"], "created"), (created["next"], "updated")):
        refused = await call(url, "GET", f"{path}?order={order}&after={after}")
        assert (400, "invalid_cursor") == (refused.status, refused.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/v1/conversations?limit=0", None, 400, "invalid_limit"),
        ("GET", "/api/v1/conversations?limit=x", None, 400, "invalid_limit"),
        ("GET", "/api/v1/conversations?after=x", None, 400, "invalid_cursor"),
        ("GET", "/api/v1/conversations?order=updated&after=x", None, 400, "invalid_cursor"),
        ("GET", "/api/v1/conversations?order=title", None, 400, "invalid_order"),
        ("GET", "/api/v1/conversations?order=Updated", None, 400, "invalid_order"),
        ("GET", "/api/v1/conversations?order=", None, 400, "invalid_order"),
        ("POST", "/api/v1/conversations", {"titel": "x"}, 400, "invalid_body"),
        ("POST", "/api/v1/conversations", {"title": 7}, 400, "invalid_body"),
        ("POST", "/api/v1/conversations", {"title": {"$gt": ""}}, 400, "invalid_body"),
        ("POST", "/api/v1/conversations", {"title": "x" * 201}, 400, "invalid_body"),
        ("POST", "/api/v1/conversations", {"model": "nobody/x"}, 400, "unknown_model"),
        ("POST", "/api/v1/conversations", [], 400, "invalid_body"),
        ("PUT", "/api/v1/conversations", {}, 405, "method_not_allowed"),
        ("GET", "/api/v1/nothing", None, 404, "not_found"),
        ("GET", "/nowhere", None, 404, "not_found"),
        ("POST", "/api/v1/chat", {}, 400, "invalid_body"),
        ("POST", "/api/v1/chat", {"content": ""}, 400, "invalid_body"),
        ("POST", "/api/v1/chat", {"content": " \n"}, 400, "invalid_body"),
        ("POST", "/api/v1/chat", {"content": []}, 400, "invalid_body"),
        ("POST", "/api/v1/chat", {"content": [{"type": "image"}]}, 400, "invalid_body"),
        ("POST", "/api/v1/chat", {"content": "x", "temperature": 3}, 400, "invalid_body"),
        ("POST", "/api/v1/chat", {"content": "x", "on_disconnect": "stay"}, 400, "invalid_body"),
        ("POST", "/api/v1/chat", {"content": "x", "model": "demo"}, 400, "unknown_model"),
        ("POST", "/api/v1/chat", {"content": "x", "conversation_id": "none"}, 404, "not_found"),
        ("POST", "/api/v1/conversations/none/messages", {"content": "x"}, 404, "not_found"),
        ("GET", "/api/v1/conversations/none/messages", None, 404, "not_found"),
        ("GET", "/api/v1/answers/none/events", None, 404, "not_found"),
        ("POST", "/api/v1/answers/none/stop", None, 404, "not_found"),
        ("GET", "/api/v1/answers/none/events?after=-1", None, 400, "invalid_position"),
        ("GET", "/api/v1/answers/none/events?after=", None, 404, "not_found"),
        ("GET", "/api/v1/answers/none/events?after=1e3", None, 400, "invalid_position"),
    ],
)
@pytest.mark.gen_test
async def test_bad_input_gets_a_status_and_a_stable_code(
    url: str, method: str, path: str, body: object, status: int, code: str
) -> None:
    refused = await call(url, method, path, body)
    assert (status, code) == (refused.status, refused.body["error"]["code"])
    assert refused.headers["x-request-id"] == refused.body["error"]["request_id"]


@pytest.mark.gen_test
async def test_what_is_no_json_is_refused_and_not_repeated(url: str) -> None:
    for raw in (b"{", b"\xff\xfe", b'{"content": "\\ud83d', b"null"):
        refused = await call(url, "POST", "/api/v1/chat", raw=raw)
        assert 400 == refused.status
        assert "ud83d" not in str(refused.body)


@pytest.mark.gen_test
async def test_a_body_past_its_bound_is_refused_in_words(serve: Serving) -> None:
    server = await serve.start(limits={"max_body_bytes": 1000})
    refused = await call(server.url, "POST", "/api/v1/chat", {"content": "x" * 1500})
    assert (413, "body_too_large") == (refused.status, refused.body["error"]["code"])


@pytest.mark.gen_test
async def test_a_short_request_id_is_taken_over_and_a_strange_one_is_not(url: str) -> None:
    taken = await call(url, "GET", "/healthz", headers={"X-Request-Id": "abc-1"})
    made = await call(url, "GET", "/healthz", headers={"X-Request-Id": "a b\tc"})
    assert "abc-1" == taken.headers["x-request-id"]
    assert 16 == len(made.headers["x-request-id"])


@pytest.mark.gen_test
async def test_models_are_listed_with_the_default_first(serve: Serving) -> None:
    local = {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["a", "b"]}
    server = await serve.start(providers={"local": local}, default_model="local/b")
    listed = await call(server.url, "GET", "/api/v1/models")
    assert [("local/b", True), ("local/a", False)] == [
        (entry["id"], entry["default"]) for entry in listed.body["data"]
    ]


@pytest.mark.gen_test
async def test_health_and_readiness_are_told(url: str) -> None:
    assert {"status": "ok"} == (await call(url, "GET", "/healthz")).body
    ready = await call(url, "GET", "/readyz")
    assert (200, {"status": "ready", "live_answers": 0}) == (ready.status, ready.body)
