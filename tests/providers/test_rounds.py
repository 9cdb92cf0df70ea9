"""Tool loops and questions with images, asked through providers and checked by strict upstreams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import get_args

import pytest

from http_client.client import HttpClient
from model.blocks import ReasoningBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Prompt, ResponseFormat, Turn, text_turn
from presets import InputKind
from providers.credentials import FixedCredential
from providers.dashscope import DashScope
from providers.dialect import Dialect
from providers.errors import BadRequest, ProviderError, UnsupportedOption
from providers.ollama import Ollama
from providers.openai import OpenAI
from providers.provider import Provider
from providers.qianfan import Qianfan
from providers.qianfan_v1 import QianfanV1
from providers.transport import Timeouts, Transport
from tests.openai_look_alikes import LOOK_ALIKES
from tests.providers.conversations import (
    ANSWER,
    FILES,
    NAMED,
    STORED_FILE,
    STORED_IMAGE,
    TWO_IMAGES,
    WEATHER,
    assistant,
    rounds,
    user,
)
from tests.providers.outcome import Outcome
from tests.upstreams import ScriptedUpstream

Make = Callable[[str], Dialect]

# How each API is reached at an upstream's address; of OpenAI's look-alikes, all that differ.
DIALECTS: dict[str, Make] = {
    "openai": lambda url: OpenAI(f"{url}/v1", server="openai"),
    "unknown": lambda url: OpenAI(f"{url}/v1"),
    "azure": lambda url: OpenAI(f"{url}/v1", server="azure-openai"),
    "qianfan": lambda url: Qianfan(f"{url}/v2"),
    "dashscope": lambda url: DashScope(f"{url}/api/v1"),
    "qianfan-v1": QianfanV1,
    "ollama": Ollama,
    **{
        name: lambda url, name=name: OpenAI(f"{url}/{name}", server=name)  # type: ignore[misc]
        for name in LOOK_ALIKES
        if name != "v2"
    },
}
SEEING = sorted(DIALECTS.keys() - {"qianfan-v1", "deepseek", "moonshot", "ollama"})


@asynccontextmanager
async def provider(name: str, upstream: ScriptedUpstream) -> AsyncIterator[Provider]:
    client = HttpClient()
    key = upstream.token if name == "qianfan-v1" else "sk-example"
    timeouts = Timeouts(connect=5, first_token=5, idle=5, answer=10)
    yield Provider(
        name,
        DIALECTS[name](upstream.url),
        FixedCredential(key),
        client=client,
        transport=Transport(timeouts),
        models=("example",),
        input_kinds=lambda _: frozenset(get_args(InputKind)),
    )
    client.close()


async def ask(asked: Provider, prompt: Prompt) -> Outcome:
    """The answer, if the upstream takes the request."""
    asked.check(prompt)
    outcome = _Recorded()
    may_send = asyncio.get_running_loop().create_future()
    may_send.set_result(None)
    await asked.answer(prompt, may_send=may_send, on_sent=lambda: None, sink=outcome)
    return outcome


class _Recorded(Outcome):
    def attempt_ended(self, attempt: object) -> None:
        pass


def script_calls(upstream: ScriptedUpstream, name: str, number: int) -> int:
    """An answer that reasons and calls `weather` twice at once, or once where that is the most.

    Returns how many calls there are.
    """
    cities = ("Paris", "Oslo")[: 1 if name == "qianfan-v1" else 2]
    if name != "qianfan-v1":
        upstream.reasoning(f"thought {number}")
    for index, city in enumerate(cities):
        upstream.tool_call(index, f"call_{number}_{index}", "weather", f'{{"city":"{city}"}}')
    upstream.finish("function_call" if name == "qianfan-v1" else "tool_calls")
    upstream.next_request()
    return len(cities)


def turns_of(outcome: Outcome) -> tuple[Turn, Turn]:
    """An answer with calls as it is stored, and the question that has their results."""
    calls = [
        ToolCallBlock(call["id"], call["name"], call["arguments"]) for call in outcome.tool_calls
    ]
    thought = (ReasoningBlock(outcome.reasoning_),) if outcome.reasoning_ else ()
    results = tuple(ToolResultBlock(call.id, f"warm in {call.arguments}") for call in calls)
    return Turn(Role.ASSISTANT, (*thought, *calls)), Turn(Role.USER, results)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.gen_test
async def test_three_rounds_of_calls_end_in_an_answer(
    name: str, upstream: ScriptedUpstream
) -> None:
    counts = [script_calls(upstream, name, number) for number in range(3)]
    upstream.tokens("Paris", " it is.")
    upstream.finish()
    turns: tuple[Turn, ...] = (text_turn(Role.USER, "Where is it warmer?"),)

    async with provider(name, upstream) as asked:
        for count in counts:
            prompt = Prompt(model="example", turns=turns, system="short", tools=(WEATHER,))
            outcome = await ask(asked, prompt)
            assert count == len(outcome.tool_calls)
            turns = (*turns, *turns_of(outcome))
        last = await ask(asked, Prompt(model="example", turns=turns, tools=(WEATHER,)))
        after = (*turns, text_turn(Role.ASSISTANT, last.text_), text_turn(Role.USER, "thanks"))
        await ask(asked, Prompt(model="example", turns=after, tools=(WEATHER,)))

    assert "Paris it is." == last.text_
    assert 5 == len(upstream.requests)
    assert sum(counts) == upstream.requests[3].body.count(b"warm in")


@pytest.mark.parametrize("name", SEEING)
@pytest.mark.gen_test
async def test_a_question_has_two_images(name: str, upstream: ScriptedUpstream) -> None:
    upstream.tokens("The cat.")
    upstream.finish()

    async with provider(name, upstream) as asked:
        outcome = await ask(asked, Prompt(model="example", turns=(TWO_IMAGES,), files=FILES))

    assert "The cat." == outcome.text_
    sent = upstream.requests[0].body.decode()
    assert "https://example.org/cat.png" in sent
    assert FILES["f-png"].base64 in sent


@pytest.mark.parametrize("name", ["moonshot", "ollama"])
@pytest.mark.gen_test
async def test_some_take_images_without_fetching_them(
    name: str, upstream: ScriptedUpstream
) -> None:
    upstream.finish()
    turn = user(TextBlock("Which?"), STORED_IMAGE, STORED_IMAGE)

    async with provider(name, upstream) as asked:
        await ask(asked, Prompt(model="example", turns=(turn,), files=FILES))

    assert 2 == upstream.requests[0].body.decode().count(FILES["f-png"].base64)


@pytest.mark.parametrize("name", ["openai", "azure", "openrouter"])
@pytest.mark.gen_test
async def test_a_question_has_a_file(name: str, upstream: ScriptedUpstream) -> None:
    upstream.finish()

    async with provider(name, upstream) as asked:
        await ask(asked, Prompt(model="example", turns=(user(STORED_FILE),), files=FILES))

    assert FILES["f-pdf"].base64 in upstream.requests[0].body.decode()


OPTIONS = {
    "temperature": 0.5,
    "top_p": 0.25,
    "top_k": 7,
    "max_tokens": 99,
    "stop": ("。",),
    "seed": 3,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "reasoning_effort": "low",
    "reasoning_budget": 512,
}


@pytest.mark.parametrize("name", sorted(DIALECTS.keys() - {"unknown"}))
@pytest.mark.gen_test
async def test_what_a_dialect_does_not_refuse_the_api_takes(
    name: str, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("{}")
    upstream.finish()
    turns = (text_turn(Role.USER, "Some JSON, please."),)
    asked_for: list[dict[str, object]] = [
        *({option: value} for option, value in OPTIONS.items()),
        *({"reasoning_effort": effort} for effort in ("none", "minimal", "high")),
        {"response_format": ResponseFormat()},
        {"response_format": ANSWER},
        *({"tools": (WEATHER,), "tool_choice": word} for word in ("auto", "none", "required")),
        {"tools": (WEATHER,), "tool_choice": NAMED},
        {"tools": (WEATHER,), "parallel_tool_calls": False},
        {"temperature": 2.0, "top_p": 1.0},
        {"temperature": 0.0, "top_p": 0.0},
    ]
    taken = 0

    async with provider(name, upstream) as asked:
        for options in asked_for:
            prompt = Prompt(model="example", turns=turns, **options)  # type: ignore[arg-type]
            try:
                asked.check(prompt)
            except UnsupportedOption:
                continue
            await ask(asked, prompt)
            taken += 1

    assert taken == len(upstream.requests)
    assert taken > 8


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.gen_test
async def test_histories_with_loose_ends_are_taken(name: str, upstream: ScriptedUpstream) -> None:
    upstream.tokens("fine")
    upstream.finish()
    hello = text_turn(Role.USER, "hi")
    cut = ToolCallBlock("1", "weather", '{"city": "Par')
    thought = ReasoningBlock("hm")
    histories: list[tuple[Turn, ...]] = [
        (hello, assistant(cut), hello),
        (hello, assistant(thought, cut), hello),
        (hello, assistant(TextBlock("wait"), cut), hello),
        (hello, assistant(cut), user(ToolResultBlock("1", ""))),
        (hello, assistant(cut), user(ToolResultBlock("1", "no"), TextBlock("and?"))),
        (user(ToolResultBlock("0", "lost"), TextBlock("hi")), assistant(TextBlock("yes")), hello),
        (hello, assistant(cut, cut), user(ToolResultBlock("1", "a"), ToolResultBlock("1", "b"))),
        (hello, *rounds(1)[1:], assistant(TextBlock("done")), hello),
    ]

    async with provider(name, upstream) as asked:
        for turns in histories:
            outcome = await ask(asked, Prompt(model="example", turns=turns))
            assert "fine" == outcome.text_


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.gen_test
async def test_the_upstreams_are_strict(name: str, upstream: ScriptedUpstream) -> None:
    upstream.tokens("fine")
    upstream.finish()
    prompt = Prompt(model="example", turns=(text_turn(Role.USER, "hi"),), extra={"colour": 1})

    async with provider(name, upstream) as asked:
        with pytest.raises(ProviderError) as caught:
            await ask(asked, prompt)

    assert isinstance(caught.value, BadRequest)
