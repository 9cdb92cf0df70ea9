"""Bounds of the record itself: long answers, strange models, calls that were cut off."""

import asyncio
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.wires import native
from model.blocks import ProviderData, TextBlock
from model.messages import Ending, Message, Role, Status, now
from model.usage import Usage
from relay.answer import MAX_EVENT_CHARS, Answer, length
from relay.delta_intake import DeltaIntake
from relay.endings import ending_of
from relay.errors import AnswerTooLong
from relay.pacing import Pacer
from relay.reader import Reader
from relay.timeline import Timeline
from relay.unsent_budget import FREE_BYTES
from tests.relay.generations import generation_of, over
from tests.relay.scripted_source import ScriptedSource

_LONG = 3_000_000  # the most that `relay.max_answer_chars` allows


def _answer(model: str = "openai/m") -> Answer:
    return Answer("c-a", "c", "c-q", model)


def _intake(answer: Answer, max_chars: int) -> DeltaIntake:
    return DeltaIntake(answer, Timeline(), Pacer(0, ()), max_chars=max_chars)


def _kept(text: str) -> Message:
    """An ended answer as the store has it: one block, one string."""
    return Message(
        id="c-a",
        conversation_id="c",
        user="u",
        role=Role.ASSISTANT,
        blocks=(TextBlock(text),),
        created_at=now(),
        ended_at=now(),
    )


def _restored(text: str) -> Answer:
    return Answer.restored(_kept(text))


@pytest.mark.gen_test
async def test_a_call_that_was_cut_off_from_outside_is_not_complete() -> None:
    source = ScriptedSource()
    generation = generation_of(source)
    await source.asked.wait()
    source.say("half")

    generation.upstream.drop()  # as closing the client does, and asyncio.run at its end

    assert Status.INTERRUPTED is ending_of(await over(generation)).status


@pytest.mark.gen_test
async def test_a_call_that_returns_without_a_finish_mark_is_not_complete() -> None:
    source = ScriptedSource()
    generation = generation_of(source)
    await source.asked.wait()
    source.say("half")

    source.ends.set()

    assert Status.FAILED is ending_of(await over(generation)).status


@pytest.mark.gen_test
async def test_an_answer_that_just_fits_is_not_too_long() -> None:
    answer = _answer()
    intake = _intake(answer, max_chars=4)

    intake.text("ab")
    intake.text("cd")
    intake.usage(Usage(1, 2))
    with pytest.raises(AnswerTooLong):
        intake.text("e")

    assert 4 == answer.position


@pytest.mark.gen_test
async def test_an_answer_holds_no_more_than_its_bound_whatever_it_consists_of() -> None:
    answer = _answer()
    intake = _intake(answer, max_chars=4)
    data = ProviderData("openai", "m", "signature")
    for _ in range(2):
        intake.tool_call("i", "n")
        intake.data(data)

    with pytest.raises(AnswerTooLong):
        intake.tool_call("i", "n")
    with pytest.raises(AnswerTooLong):
        intake.data(data)

    assert 4 == answer.position


@pytest.mark.slow
@pytest.mark.parametrize("position", [0, _LONG // 2])
def test_an_event_of_a_long_answer_takes_no_more_memory_than_one_of_a_short_one(
    position: int,
) -> None:
    stored = _restored("x" * _LONG)
    live = _answer()
    for _ in range(_LONG // 6):
        live.append_text("token ")
    for answer in (stored, live):
        tracemalloc.start()
        (piece,) = answer.beyond(position, MAX_EVENT_CHARS)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert MAX_EVENT_CHARS == len(piece.text)
        assert peak < 16 * MAX_EVENT_CHARS


def test_a_model_of_any_name_leaves_the_start_event_one_line_to_every_client() -> None:
    start = native.begin(_answer("openai/a\u2028b\u2029c\u0085d")).decode()
    assert 4 == len(start.splitlines())  # which cuts where Swift's and Python's readers cut


@pytest.mark.gen_test
async def test_a_sign_of_life_is_not_sent_right_behind_something_else() -> None:
    answer = _answer()
    reader = Reader(answer)
    answer.attach(reader)
    reader.heartbeat()  # due while the reader was still writing
    answer.append_text("a")
    assert await reader.growth() != []
    waiting = asyncio.ensure_future(reader.growth())
    await asyncio.sleep(0)
    assert not waiting.done()
    answer.end(Ending(status=Status.STOPPED, blocks=answer.blocks(), ended_at=now()))
    assert await waiting is None


class _Client:
    """What docs/api.md tells clients to do with deltas, and no more."""

    def __init__(self) -> None:
        self.blocks: list[dict[str, Any]] = []
        self.last_id = "0"
        self._index: int | None = None  # of the tool call that is open

    def take(self, wire: bytes) -> None:
        for event in wire.decode().removesuffix("\n\n").split("\n\n"):
            first, second, third = event.splitlines()
            assert "event: delta" == second
            self.last_id = first.removeprefix("id: ")
            self._apply(json.loads(third.removeprefix("data: ")))

    def _apply(self, delta: dict[str, Any]) -> None:
        ((kind, value),) = delta.items()
        last = self.blocks[-1] if self.blocks else {"type": None}
        if kind == "tool_call":
            if last["type"] != kind or self._index != value["index"]:
                self.blocks.append({"type": kind, "arguments": ""})
                self.blocks[-1] |= {"id": value["id"], "name": value["name"]}
                self._index = value["index"]
            self.blocks[-1]["arguments"] += value["arguments"]
        else:
            if last["type"] != kind:
                self.blocks.append({"type": kind, "text": ""})
            self.blocks[-1]["text"] += value


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["x", "😀", "\0", "\u2028", '"'])
@pytest.mark.parametrize("chars", [1, 700, 50_000])
def test_what_is_written_at_once_stays_below_64_kib_whatever_it_says(
    letter: str, chars: int
) -> None:
    answer, longest, position = _answer(), 0, 0
    for _ in range(-(-50_000 // chars)):
        answer.append_text(letter * chars)
        answer.append_reasoning(letter)
        answer.open_tool_call("call_0123456789abcdef", "search")

    while pieces := answer.beyond(position, MAX_EVENT_CHARS):
        longest = max(longest, len(native.growth(answer, position, pieces)))
        position += length(pieces)
    reset = list(native.reset(answer.snapshot()))

    assert FREE_BYTES // 8 < longest <= FREE_BYTES
    assert max(map(len, reset)) <= FREE_BYTES
    _, _, data = b"".join(reset).decode().rstrip("\n").split("\n")
    assert msgspec.to_builtins(answer.blocks()) == tuple(json.loads(data[6:])["blocks"])


def test_a_reset_that_is_read_slowly_is_of_one_moment() -> None:
    answer = _answer()
    answer.append_text("x" * 20_000)
    answer.open_tool_call("id", "name")
    reset = native.reset(answer.snapshot())
    begun = next(reset) + next(reset)

    answer.append_arguments("{}")
    answer.append_text("more")
    answer.end_as_stored(_kept("short"))

    _, _, data = b"".join([begun, *reset]).decode().rstrip("\n").split("\n")
    blocks = json.loads(data[6:])["blocks"]
    assert ["x" * 20_000, ""] == [blocks[0]["text"], blocks[1]["arguments"]]
    assert b"id: 20001\n" in begun


_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_deltas = st.lists(
    st.one_of(
        st.builds(lambda text: ("append_text", text), _words),
        st.builds(lambda text: ("append_reasoning", text), _words),
        st.builds(lambda name: ("open_tool_call", name), _words),
        st.builds(lambda text: ("append_arguments", text), _words),
    ),
    max_size=40,
)


@pytest.mark.slow
@given(_deltas, st.data())
def test_a_client_that_does_as_documented_holds_the_answer_however_often_it_was_cut_off(
    deltas, data
) -> None:
    answer, client, open_call = _answer(), _Client(), False
    for method, text in deltas:
        if method == "append_arguments" and not open_call:
            continue
        open_call = method in ("open_tool_call", "append_arguments")
        getattr(answer, method)(*(["id", text] if method == "open_tool_call" else [text]))
        # Connected at times; each time it comes back with the last id that it saw.
        position = int(client.last_id)
        if data.draw(st.booleans()) and position < answer.position:
            pieces = answer.beyond(position, data.draw(st.integers(1, 20)))
            client.take(native.growth(answer, position, pieces))
    while (position := int(client.last_id)) < answer.position:
        client.take(native.growth(answer, position, answer.beyond(position, 7)))
    assert msgspec.to_builtins(list(answer.blocks())) == client.blocks
