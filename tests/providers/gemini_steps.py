"""Requests to Gemini, checked by `tests/gemini_api.py`, and answers of it as they are kept."""

import json
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from model.messages import Role
from model.prompt import Prompt, Turn, text_turn
from providers.errors import ProviderError, UnsupportedOption
from providers.gemini import Gemini
from providers.quirks import QuirkLog
from providers.response_reader import ResponseReader
from tests.gemini_api import refusal
from tests.providers.conversations import FILES
from tests.providers.outcome import EVENT_STREAM, GEMINI
from tests.providers.recorded import Recorded

HELLO = (text_turn(Role.USER, "hi"),)
HOST = "https://generativelanguage.googleapis.com"

# A model that takes budgets and checks no signatures, and one that takes levels and checks them.
OLDER, NEWER = "gemini-2.5-flash", "gemini-3.5-flash-lite"


def sent(
    *turns: Turn, dialect: Gemini = GEMINI, model: str = NEWER, **options: Any
) -> dict[str, Any]:
    """The body of a request that the API takes."""
    prompt = Prompt(model=model, turns=turns or HELLO, **{"files": FILES, **options})
    dialect.check(prompt)
    request = dialect.request(prompt, "key")
    target = request.url.removeprefix(HOST)
    assert refusal(target, HTTPHeaders(request.headers), request.body) is None
    body: dict[str, Any] = json.loads(request.body)
    return body


def refused(*turns: Turn, **options: Any) -> str:
    """The option that the dialect says it cannot express."""
    prompt = Prompt(**{"model": NEWER, "turns": turns or HELLO, **options})
    with pytest.raises(UnsupportedOption) as caught:
        GEMINI.check(prompt)
    return caught.value.name


def answered(*events: bytes, model: str = NEWER, status: int = 200) -> Recorded:
    """What is kept of a response, whole."""
    outcome = Recorded(model)
    reader = ResponseReader(
        GEMINI, status, EVENT_STREAM, {}, outcome, QuirkLog("scripted"), model=model
    )
    try:
        reader.feed(b"".join(events))
        reader.end()
    except ProviderError as error:
        outcome.error = error
    return outcome
