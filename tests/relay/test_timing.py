"""How long an answer took, by a clock that the test turns."""

import asyncio

import pytest

from model.messages import Message, Role, Status, Timing, now
from model.usage import Usage
from relay.endings import ending_of, interrupted, orphaned
from relay.errors import LeaseLost
from relay.generation import Generation
from tests.relay.generations import generation_of, over
from tests.relay.scripted_source import STOP, ScriptedSource

_STOP = ("finish", STOP)
_CALL = ("tool_call", "id", "weather")


async def _generation() -> Generation:
    """A live answer whose upstream call is over already: what it brought is for the test to say."""
    source = ScriptedSource()
    source.ends.set()
    return await over(generation_of(source))


@pytest.mark.parametrize(
    ("growth", "first", "reasoning"),
    [
        ({}, None, None),
        ({3: ("usage", Usage(1, 0)), 4: _STOP}, None, None),
        ({4: ("text", "a"), 5: ("text", "b")}, 4, None),
        ({3: _CALL}, 3, None),
        ({3: ("reasoning", "h"), 4: ("reasoning", "m"), 6: ("text", "a"), 9: ("text", "b")}, 3, 3),
        ({3: ("reasoning", "h"), 7: _CALL, 8: ("text", "a")}, 3, 4),
        ({3: ("reasoning", "h"), 4: ("text", "a"), 5: ("reasoning", "m"), 9: ("text", "b")}, 3, 1),
        ({3: ("text", "a"), 4: ("reasoning", "h"), 6: ("text", "b")}, 3, 2),
        ({3: ("reasoning", "h"), 4: _STOP}, 3, 7),  # to the end
    ],
)
@pytest.mark.gen_test
async def test_times_are_those_of_the_first_token_the_first_reasoning_and_the_end(
    monkeypatch: pytest.MonkeyPatch, growth: dict[int, tuple[str, ...]], first: int, reasoning: int
) -> None:
    generation = await _generation()

    with monkeypatch.context() as turned:  # nothing is awaited: the loop does not see its clock
        for moment, (method, *words) in growth.items():
            turned.setattr(
                asyncio.get_running_loop(),
                "time",
                lambda m=moment: generation.timeline.asked_at + m,
            )
            getattr(generation.intake, method)(*words)
        turned.setattr(
            asyncio.get_running_loop(), "time", lambda: generation.timeline.asked_at + 10
        )
        ending = ending_of(generation)

    def ms(seconds: int | None) -> int | None:
        return None if seconds is None else seconds * 1000

    assert Timing(ms(first), ms(reasoning), 10_000) == ending.timing
    assert ending.timing == interrupted(ending, LeaseLost()).timing  # what is known stays known


def test_nothing_is_known_of_an_answer_whose_process_died() -> None:
    message = Message(
        id="c-a",
        conversation_id="c",
        user="u",
        role=Role.ASSISTANT,
        status=Status.LIVE,
        created_at=now(),
    )

    assert None is orphaned(message).timing
