"""Two users walk every route there is, each with the other's ids: 404, whatever the route.

The routes are taken from the running application, so that one which is added without a word here
fails the test.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tornado.web import Application, RequestHandler

from app.server import Server
from handlers.authorization import Access
from handlers.base import BaseHandler
from handlers.openai.response_items import item_id
from sockets.body_limiter import BodyLimiter
from storage.values import conversation_of
from tests.auth_servers import AuthServers, KeyHolder
from tests.file_steps import PNG, image, text
from tests.handlers.openai.chat_steps import user, whole
from tests.image_provider import ImageProvider
from tests.readers import Reader, Response, call
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

ID = "([^/]+)"
CONVERSATION = f"/api/v1/conversations/{ID}"
ANSWER = f"/api/v1/answers/{ID}"
COMPLETION = f"/v1/chat/completions/{ID}"
RESPONSE = f"/v1/responses/{ID}"
OPENAI_CONVERSATION = f"/v1/conversations/{ID}"

# Routes that name something of somebody's: the bodies that they take. An id is in the path unless
# the body has it.
OWNED: dict[tuple[str, str], Any] = {
    ("GET", CONVERSATION): None,
    ("PATCH", CONVERSATION): {"title": "mine now"},
    ("DELETE", CONVERSATION): None,
    ("GET", f"{CONVERSATION}/messages"): None,
    ("POST", f"{CONVERSATION}/messages"): {"content": "tell me all"},
    ("POST", "/api/v1/chat"): {"content": "tell me all", "conversation_id": "{conversation}"},
    ("GET", f"{ANSWER}/events"): None,
    ("POST", f"{ANSWER}/ticket"): None,
    ("POST", f"{ANSWER}/stop"): None,
    ("POST", f"{ANSWER}/regenerate"): None,
    ("GET", f"/api/v1/files/{ID}"): None,
    ("GET", COMPLETION): None,
    ("POST", COMPLETION): {"metadata": {"mine": "now"}},
    ("DELETE", COMPLETION): None,
    ("GET", f"{COMPLETION}/messages"): None,
    ("POST", "/v1/responses"): {"input": "tell me all", "conversation": "{conversation}"},
    ("GET", RESPONSE): None,
    ("DELETE", RESPONSE): None,
    ("POST", f"{RESPONSE}/cancel"): None,
    ("GET", f"{RESPONSE}/input_items"): None,
    ("GET", OPENAI_CONVERSATION): None,
    ("POST", OPENAI_CONVERSATION): {"metadata": {"mine": "now"}},
    ("DELETE", OPENAI_CONVERSATION): None,
    ("GET", f"{OPENAI_CONVERSATION}/items"): None,
    ("GET", f"{OPENAI_CONVERSATION}/items/{ID}"): None,
}
# Routes that name nothing, and what they show or make is the asker's own.
OWN = {
    ("GET", "/api/v1/me"),
    ("GET", "/api/v1/conversations"),
    ("GET", "/api/v1/answers"),
    ("POST", "/api/v1/conversations"),
    # A chat's id is its user's own: another user's chat of that id is another one.
    ("POST", "/ai-sdk/chat"),
    ("GET", f"/ai-sdk/chat/{ID}/stream"),
    ("POST", f"/ai-sdk/chat/{ID}/stop"),
    # So are the ids of threads and runs.
    ("POST", "/ag-ui"),
    ("GET", "/ag-ui"),
    ("GET", "/v1/chat/completions"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/conversations"),
}
# Routes that show nothing of any user's.
NOBODYS = {
    ("GET", "/api/v1/models"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/openapi\\.json"),
    ("GET", "/api/docs"),
    ("GET", "/"),
    ("GET", "/c/[^/]+"),
    ("GET", f"/assets/{ID}"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/(.+)"),
}


class Route(NamedTuple):
    method: str
    pattern: str
    handler: type[BaseHandler]


class Things(NamedTuple):
    """What one user has."""

    conversation: str
    answer: str
    file: str

    def _id_for(self, pattern: str) -> str:
        if "/files/" in pattern:
            return self.file
        words = ("/answers/", "/completions/", "/responses/")
        is_of_answer = any(word in pattern for word in words)
        return self.answer if is_of_answer else self.conversation

    def path(self, pattern: str) -> str:
        """A route's path to it."""
        item = f"/items/{item_id(self.answer, 'text', 1)}"  # behind the reasoning
        return pattern.replace(f"/items/{ID}", item).replace(ID, self._id_for(pattern))

    def body(self, body: Any) -> Any:
        """A route's body, naming it."""
        if not isinstance(body, dict):
            return body
        named = {"{conversation}": self.conversation}
        return {name: named.get(str(value), value) for name, value in body.items()}


def routes(server: Server) -> Iterator[Route]:
    """Every method of every route that is served."""
    bodies = server.acceptor._http.request_callback
    assert isinstance(bodies, BodyLimiter)
    application = bodies.inner
    assert isinstance(application, Application)
    for rule in application.wildcard_router.rules:
        for method in RequestHandler.SUPPORTED_METHODS:
            if method != "OPTIONS" and rule.target.takes(method):
                yield Route(method, rule.matcher.regex.pattern.rstrip("$"), rule.target)


async def owned(
    server: Server, holder: KeyHolder, *, live: bool, upstream: ScriptedUpstream
) -> Things:
    """A conversation of the holder's, with an answer; one that has ended was asked for by a chat
    completion, which has data of its client.
    """
    upstream.tokens("a secret of ", holder.user)
    if live:
        body = {"content": [text("q"), image(PNG)]}
        reader = await Reader.open(server.url, "POST", "/api/v1/chat", body, headers=holder.headers)
        await reader.text(f"a secret of {holder.user}")
        answer_id = reader.seen[0].data["answer_id"]
    else:
        upstream.finish()
        picture = {"type": "image_url", "image_url": {"url": image(PNG)["url"]}}
        asked = user([text("q"), picture])
        answered = await whole(server, asked, headers=holder.headers | JSON, store=True)
        answer_id = answered.body["id"].removeprefix("chatcmpl-")
    conversation_id = conversation_of(answer_id)
    path = f"/api/v1/conversations/{conversation_id}/messages"
    question = (await call(server.url, "GET", path, headers=holder.headers)).body["data"][0]
    return Things(conversation_id, answer_id, question["blocks"][1]["file_id"])


async def ask(server: Server, route: Route, holder: KeyHolder, things: Things) -> Response:
    body = things.body(OWNED[route.method, route.pattern])
    return await call(
        server.url, route.method, things.path(route.pattern), body, headers=holder.headers | JSON
    )


@pytest.mark.gen_test
async def test_every_route_is_accounted_for_here(auth_servers: AuthServers) -> None:
    found = {(route.method, route.pattern) for route in routes(await auth_servers.open())}
    listed = OWNED.keys() | OWN | NOBODYS
    assert found == listed | {("HEAD", pattern) for method, pattern in listed if method == "GET"}


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False])
@pytest.mark.gen_test
async def test_to_another_user_there_is_nothing_there(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    live: bool,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    admin = await auth_servers.create_key("ops", admin=True)  # who has to say for whom
    hers = await owned(server, alice, live=live, upstream=upstream)
    nobodys = Things("0" * 32, *[f"{'0' * 32}-{'0' * 32}"] * 2)
    walked = [route for route in routes(server) if (route.method, route.pattern) in OWNED]
    assert walked

    for route in walked:
        for stranger in (bob, admin):
            refused = await ask(server, route, stranger, hers)
            missing = await ask(server, route, stranger, nobodys)
            assert (404, "not_found") == (refused.status, refused.body["error"]["code"]), route
            # The same words as for what never was.
            assert missing.body["error"]["message"] == refused.body["error"]["message"]
            if route.method == "GET":
                path = hers.path(route.pattern)
                assert (
                    404 == (await call(server.url, "HEAD", path, headers=stranger.headers)).status
                )

    # Nor can anybody go on from it in a conversation of their own.
    own = await call(server.url, "POST", "/api/v1/conversations", {}, headers=bob.headers)
    follow_on = {"content": "and then?", "parent_id": hers.answer}
    path = f"/api/v1/conversations/{own.body['id']}"
    refused = await call(
        server.url, "POST", f"{path}/messages", follow_on, headers=bob.headers | JSON
    )
    assert (400, "unknown_parent") == (refused.status, refused.body["error"]["code"])
    assert 204 == (await call(server.url, "DELETE", path, headers=bob.headers)).status

    for headers, count in ((alice.headers, 1), (bob.headers, 0), (admin.headers, 0)):
        listed = await call(server.url, "GET", "/api/v1/conversations", headers=headers)
        assert count == len(listed.body["data"])
        running = await call(server.url, "GET", "/api/v1/answers?status=live", headers=headers)
        assert count * live == len(running.body["data"])
    path = f"/api/v1/conversations/{hers.conversation}"
    kept = await call(server.url, "GET", path, headers=alice.headers)
    assert "q" == kept.body["title"]
    messages = (await call(server.url, "GET", f"{path}/messages", headers=alice.headers)).body
    assert 2 == len(messages["data"])
    assert ("live" if live else "complete") == messages["data"][1]["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_to_their_owner_everything_is_there(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    sources: list[ImageProvider],
) -> None:
    """Else the walk above would prove nothing."""
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    for route in routes(server):
        if (route.method, route.pattern) in OWNED:
            hers = await owned(server, alice, live=False, upstream=upstream)
            upstream.tokens("x")
            upstream.finish()
            assert (await ask(server, route, alice, hers)).status < 300, route


@pytest.mark.slow
@pytest.mark.gen_test
async def test_without_a_key_no_route_but_those_for_everybody_says_anything(
    auth_servers: AuthServers,
) -> None:
    server = await auth_servers.open()
    for route in routes(server):
        if route.method == "HEAD":  # it is GET less the body
            continue
        path = route.pattern.replace(ID, "x").replace("[^/]+", "x").replace("(.+)", "x")
        answered = await call(server.url, route.method, path)
        if route.handler.access is Access.EVERYBODY:
            assert (route.method, route.pattern) in NOBODYS
            assert answered.status in (200, 404)  # the page may not have been built
        else:
            assert (401, "credentials_required") == (answered.status, answered.code), route


@pytest.mark.gen_test
async def test_two_users_with_one_idempotency_key_have_two_answers(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    answers = []
    for name in ("alice", "bob", "alice"):
        holder = await auth_servers.create_key(name)
        upstream.tokens(f"for {name}")
        upstream.finish()
        upstream.next_request()
        headers = holder.headers | {"Idempotency-Key": "the same"}
        reader = await Reader.ask(server.url, "q", headers=headers)
        await reader.end()
        answers.append((reader.answer_id, reader.so_far))
    assert answers[0] == answers[2]
    assert "for bob" == answers[1][1]
    assert answers[0][0] != answers[1][0]


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["mongo"], indirect=True)
@pytest.mark.gen_test
async def test_another_process_shows_nothing_of_anothers_live_answer(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    sources: list[ImageProvider],
) -> None:
    here, there = (
        await auth_servers.open(providers=providers),
        await auth_servers.open(providers=providers),
    )
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    hers = await owned(here, alice, live=True, upstream=upstream)
    path = f"/api/v1/answers/{hers.answer}/events"
    follower = await Reader.open(there.url, "GET", path, headers=alice.headers)
    await follower.text("a secret of alice")
    for route in routes(there):  # while it is followed there
        if (route.method, route.pattern) in OWNED:
            assert 404 == (await ask(there, route, bob, hers)).status, route
