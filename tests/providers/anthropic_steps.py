"""Requests to Anthropic's Messages API, checked by `tests/anthropic_api.py`."""

import json
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from model.messages import Role
from model.prompt import Prompt, Turn, text_turn
from providers.anthropic import Anthropic
from providers.errors import UnsupportedOption
from tests.anthropic_api import refusal
from tests.providers.conversations import FILES
from tests.providers.outcome import ANTHROPIC

HELLO = (text_turn(Role.USER, "hi"),)

# A model that thinks within a budget, one that thinks by an effort, and one that knows both.
BUDGETED, ADAPTIVE, BOTH = "claude-haiku-4-5", "claude-sonnet-5", "claude-opus-4-6"


def sent(
    *turns: Turn, dialect: Anthropic = ANTHROPIC, model: str = BUDGETED, **options: Any
) -> dict[str, Any]:
    """The body of a request that the API takes."""
    prompt = Prompt(model=model, turns=turns or HELLO, **{"files": FILES, **options})
    dialect.check(prompt)
    request = dialect.request(prompt, "sk-ant-example")
    assert refusal(HTTPHeaders(request.headers), request.body) is None
    assert "https://api.anthropic.com/v1/messages" == request.url
    body: dict[str, Any] = json.loads(request.body)
    return body


def refused(*turns: Turn, dialect: Anthropic = ANTHROPIC, **options: Any) -> str:
    """The option that the dialect says it cannot express."""
    prompt = Prompt(**{"model": BUDGETED, "turns": turns or HELLO, **options})
    with pytest.raises(UnsupportedOption) as caught:
        dialect.check(prompt)
    return caught.value.name
