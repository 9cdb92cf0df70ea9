"""OpenAI's agents run on a model of a dialect that is not OpenAI's."""

import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
)

from app.server import Server
from tests.clients.openai_sdk import INPUT, INSTRUCTIONS, async_client
from tests.clients.qwen import (
    CALL_ID,
    MODEL,
    RESULT,
    TEXT,
    calls_the_tool,
    has_image,
    results_in,
    thinks_and_answers,
)
from tests.upstreams import ScriptedUpstream

MODELS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}


@pytest.mark.slow
@pytest.mark.parametrize("by", sorted(MODELS))
@pytest.mark.gen_test
async def test_an_agent_calls_its_tool_and_streams_the_answer(
    by: str, headrace: Server, upstream: ScriptedUpstream
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    called: list[str] = []

    @function_tool
    def weather(city: str) -> str:
        called.append(city)
        return RESULT

    async with async_client(headrace.url) as sdk:
        agent = Agent(
            name="天气",
            instructions=INSTRUCTIONS,
            model=MODELS[by](model=MODEL, openai_client=sdk),
            tools=[weather],
        )
        config = RunConfig(tracing_disabled=True)
        run = Runner.run_streamed(agent, INPUT, run_config=config)
        deltas = [
            event.data.delta
            async for event in run.stream_events()
            if event.type == "raw_response_event"
            and event.data.type == "response.output_text.delta"
        ]

    assert (["北京"], TEXT, TEXT) == (called, run.final_output, "".join(deltas))
    assert has_image(upstream.requests[0].json)
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)
