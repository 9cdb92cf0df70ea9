"""What an answer ended as, by how its upstream call ended."""

from collections.abc import Callable

import pytest

from model.messages import Attempt, Ending, Status, now
from model.usage import Usage
from providers.errors import RateLimited, StreamBroken, Unreachable
from providers.sink import Finish
from relay.endings import ending_of
from relay.errors import AnswerTooLong
from relay.generation import Generation
from tests.relay.generations import generation_of, over
from tests.relay.scripted_source import STOP, ScriptedSource

_NOTHING = Usage(0, 0, estimated=True)
_ESTIMATE = Usage(1, 1, estimated=True)  # of the question "q" and the answer "half"


async def _generation(
    error: Exception | None, text: str, finish: Finish | None
) -> tuple[Generation, ScriptedSource]:
    """One whose call brings `text` and a finish mark, and then returns or fails."""
    source = ScriptedSource()
    source.error = error
    generation = generation_of(source)
    await source.asked.wait()
    if text:
        source.say(text)
    source.sinks[-1].finish(finish)
    return generation, source


async def _ended(generation: Generation, source: ScriptedSource) -> Ending:
    """The ending of one whose call is over now."""
    source.ends.set()
    return ending_of(await over(generation))


@pytest.mark.parametrize(
    ("error", "text", "finish", "status", "code", "usage"),
    [
        (None, "half", STOP, Status.COMPLETE, None, _ESTIMATE),
        (None, "half", None, Status.FAILED, "stream_broken", _ESTIMATE),
        (StreamBroken(reason="cut"), "half", STOP, Status.FAILED, "stream_broken", _ESTIMATE),
        (AnswerTooLong(), "half", None, Status.FAILED, "answer_too_long", _ESTIMATE),
        (Unreachable(), "", None, Status.FAILED, Unreachable.code, _NOTHING),
        (RateLimited(), "", None, Status.FAILED, RateLimited.code, _NOTHING),
    ],
)
@pytest.mark.gen_test
async def test_the_call_decides(
    error: Exception | None,
    text: str,
    finish: Finish | None,
    status: Status,
    code: str | None,
    usage: Usage,
) -> None:
    generation, source = await _generation(error, text, finish)

    ending = await _ended(generation, source)

    assert (status, code) == (ending.status, ending.error.code if ending.error else None)
    assert usage == ending.usage


@pytest.mark.gen_test
async def test_a_bug_in_a_provider_is_an_internal_error_and_logged(
    expect_log: Callable[[str, str], None],
) -> None:
    expect_log("headrace.relay", "upstream call failed")
    generation, source = await _generation(ZeroDivisionError("a bug"), "half", None)

    ending = await _ended(generation, source)

    assert ending.error is not None
    assert (Status.FAILED, "internal_error") == (ending.status, ending.error.code)


@pytest.mark.gen_test
async def test_a_cancelled_answer_ends_as_it_was_cancelled_first() -> None:
    generation, _ = await _generation(None, "half", None)

    generation.cancel(Status.STOPPED)
    generation.cancel(Status.INTERRUPTED)

    ending = ending_of(await over(generation))
    assert (Status.STOPPED, None) == (ending.status, ending.error)


@pytest.mark.gen_test
async def test_an_answer_that_was_finished_is_complete_although_it_is_cancelled_then() -> None:
    generation, source = await _generation(None, "half", STOP)
    source.ends.set()
    await over(generation)

    generation.cancel(Status.STOPPED)

    assert Status.COMPLETE is ending_of(generation).status


@pytest.mark.gen_test
async def test_the_providers_own_figures_count_and_are_marked_where_the_answer_was_cut() -> None:
    generation, _ = await _generation(None, "half", None)
    generation.intake.usage(Usage(10, 20))

    generation.cancel(Status.STOPPED)

    assert Usage(10, 20, running=True) == ending_of(await over(generation)).usage


@pytest.mark.parametrize(
    ("output_tokens", "usage"),
    [(2, Usage(10, 9, estimated=True)), (3, Usage(10, 3, running=True))],
)
@pytest.mark.gen_test
async def test_a_figure_from_before_the_text_does_not_count_as_that_of_the_text(
    output_tokens: int, usage: Usage
) -> None:
    generation, _ = await _generation(None, "half " * 7, None)  # 35 letters: 9 tokens
    generation.intake.usage(Usage(10, output_tokens))

    generation.cancel(Status.STOPPED)

    assert usage == ending_of(await over(generation)).usage


@pytest.mark.gen_test
async def test_what_a_response_that_began_as_an_answer_cost_is_never_nothing() -> None:
    generation, source = await _generation(RateLimited(), "", None)
    generation.intake.attempt_ended(Attempt(target="p/m", started_at=now(), ms=1, http_status=200))

    ending = await _ended(generation, source)

    assert Usage(1, 0, estimated=True) == ending.usage
