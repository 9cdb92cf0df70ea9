"""Every wire, one property: what its client makes of any answer, however it was cut, is the answer.

The connections are any mix of live, ended and at another process, each cut at any byte but the
last. Clients are the official ones where those are Python, and else what they do, delta by delta:
snapshots, which would cover a lost delta up, are left aside.
"""

import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from handlers.openai.response_items import output_text
from handlers.wires import native
from handlers.wires.ag_ui import AgUiWire
from handlers.wires.event_numbers import EventNumbers
from handlers.wires.responses import ResponsesWire
from handlers.wires.wire import Wire
from model.blocks import Block, ImageBlock, ReasoningBlock, TextBlock, ToolCallBlock, text_in
from model.growth import Piece
from model.messages import Status
from relay.answer import Answer
from relay.tool_loop import is_whole
from tests.handlers.wires.ag_ui_reading import AgUiClient
from tests.handlers.wires.ai_sdk_reading import AISDKClient
from tests.handlers.wires.chat_reading import ChatClient, by_kind
from tests.handlers.wires.native_reading import NativeClient
from tests.handlers.wires.played_answers import played_to_its_end
from tests.handlers.wires.responses_reading import ResponsesClient


def parts_of(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The blocks as user interfaces show them: reasoning that has no text is shown to nobody."""
    parts: list[dict[str, Any]] = []
    for block in blocks:
        match block:
            case ToolCallBlock():
                named = {"id": block.id, "name": block.name, "text": block.arguments}
                parts.append({"type": "tool_call", **named})
            case ImageBlock():
                parts.append({"type": "image", "url": block.url})
            case TextBlock() | ReasoningBlock() if text_in(block):
                kind = "text" if isinstance(block, TextBlock) else "reasoning"
                parts.append({"type": kind, "text": block.text})
    return parts


def check_native(data: st.DataObject, wire: Wire = native) -> None:
    client = NativeClient(wire)

    stored = played_to_its_end(client, data)

    assert client.blocks == list(msgspec.to_builtins(stored.blocks()))
    assert stored.ending is not None
    assert client.end is not None
    assert stored.ending.status == client.end["status"]


def check_ai_sdk(data: st.DataObject) -> None:
    client = AISDKClient()

    stored = played_to_its_end(client, data)

    assert client.parts == parts_of(stored.blocks())
    assert stored.ending is not None
    is_told = stored.ending.status in (Status.COMPLETE, Status.STOPPED)
    assert client.ended == ("finish" if is_told else "error")


def items_of(blocks: Sequence[Block]) -> list[tuple[list[str], str]]:
    """The blocks as items: what names each, and its deltas."""
    items = []
    for block in blocks:
        match block:
            case ToolCallBlock():
                items.append((["function_call", block.id, block.name], block.arguments))
            case ReasoningBlock():
                items.append((["reasoning"], block.text))
            case _:
                text = output_text(block) if isinstance(block, ImageBlock) else text_in(block)
                items.append((["message"], text))
    return items


def check_responses(
    data: st.DataObject, wire: type[ResponsesWire] = ResponsesWire, *, fetches_all: bool = False
) -> None:
    client = ResponsesClient(wire, fetches_all=fetches_all)

    stored = played_to_its_end(client, data)

    items = [client.items[place] for place in sorted(client.items)]
    assert [(item["named"], item["text"]) for item in items] == items_of(stored.blocks())
    assert all(item["closed"] for item in items)
    assert client.numbers == sorted(set(client.numbers))
    assert stored.ending is not None
    assert client.ended is not None
    expected = {
        (Status.COMPLETE, "length"): "incomplete",
        Status.COMPLETE: "completed",
        Status.STOPPED: "cancelled",
    }
    ending = stored.ending
    told = expected.get(
        (ending.status, ending.finish_reason), expected.get(ending.status, "failed")
    )
    assert told == client.ended["status"]


def check_the_helper_of_responses(data: st.DataObject) -> None:
    check_responses(data, fetches_all=True)


def check_ag_ui(data: st.DataObject, wire: type[AgUiWire] = AgUiWire) -> None:
    client = AgUiClient(wire)

    stored = played_to_its_end(client, data)

    assert client.parts == parts_of(stored.blocks())
    assert stored.ending is not None
    is_told = stored.ending.status in (Status.COMPLETE, Status.STOPPED)
    assert client.ended == ("RUN_FINISHED" if is_told else "RUN_ERROR")
    calls = [part["id"] for part in client.parts if part["type"] == "tool_call"]
    assert client.available == (calls if is_whole(stored.ending) else [])


def check_chat(data: st.DataObject) -> None:
    client = ChatClient()

    stored = played_to_its_end(client, data)

    assert client.read == by_kind(stored.blocks())
    ending = stored.ending
    assert ending is not None
    is_whole = ending.status is Status.COMPLETE
    assert (is_whole, not is_whole) == (client.is_done, client.error is not None)
    assert (client.finish_reason is None) is not is_whole


@pytest.mark.parametrize(
    "check",
    [
        check_native,
        check_chat,
        check_responses,
        check_the_helper_of_responses,
        check_ai_sdk,
        check_ag_ui,
    ],
)
def test_what_a_client_makes_of_an_answer_is_the_answer(
    check: Callable[[st.DataObject], None],
) -> None:
    given(st.data())(lambda data: check(data))()


# The same property finds each mistake that the numbers of events could have.


def renumbered(change: Callable[[int], int]) -> Wire:
    """The native wire with other numbers on its deltas."""

    def growth(answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
        sent = native.growth(answer, position, pieces)
        return re.sub(rb"id: (\d+)", lambda found: b"id: %d" % change(int(found[1])), sent)

    changed = {**vars(native), "growth": growth}
    return cast(Wire, SimpleNamespace(**changed))


def in_utf_16(answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
    """Positions as JavaScript counts them."""
    before = "".join(piece.text for piece in answer.beyond(0, position))
    return renumbered(lambda number: number + sum(char > "\uffff" for char in before)).growth(
        answer, position, pieces
    )


class ByTheirEnds(EventNumbers):
    """The number that a delta has where its end counts: also that of what follows."""

    def delta(self, block: int, end: int) -> int:
        return super().delta(block, end) + 1


class ByPositions(EventNumbers):
    """Numbers without the structural events."""

    def delta(self, block: int, end: int) -> int:
        return end


class LateResumption(EventNumbers):
    """A position that is one too far."""

    def position_after(self, number: int) -> int:
        return super().position_after(number) + 1


def with_numbers(
    check: Callable[[st.DataObject], None], module: str, numbers: type[EventNumbers]
) -> Callable[[st.DataObject], None]:
    """The check of a wire whose numbers are these."""

    def checked(data: st.DataObject) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"handlers.wires.{module}.EventNumbers", numbers)
            check(data)

    return checked


NUMBERED = [(check_ag_ui, "ag_ui"), (check_responses, "responses")]
MISTAKES: dict[str, Callable[[st.DataObject], None]] = {
    "one too small": lambda data: check_native(data, renumbered(lambda number: number - 1)),
    "one too large": lambda data: check_native(data, renumbered(lambda number: number + 1)),
    "in UTF-16": lambda data: check_native(
        data, cast(Wire, SimpleNamespace(**{**vars(native), "growth": in_utf_16}))
    ),
} | {
    f"{module}: {numbers.__name__}": with_numbers(check, module, numbers)
    for check, module in NUMBERED
    for numbers in (ByTheirEnds, ByPositions, LateResumption)
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_wrong_numbers_are_found(mistake: Callable[[st.DataObject], None]) -> None:
    once = settings(max_examples=1000, phases=[Phase.generate], database=None, derandomize=True)

    with pytest.raises((AssertionError, KeyError, IndexError)):
        once(given(st.data())(mistake))()
