"""The history that goes with a question: whole exchanges, and a tool loop whatever its length."""

import msgspec
import pytest

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Conversation, FinishReason, Message, Role, Status, now
from model.prompt import Turn
from relay.ask_request import AskRequest
from relay.context import History, history
from relay.errors import MissingToolResults, ToolLoopTooLong, UnknownParent, UnknownToolCall
from relay.limits import Limits
from storage.errors import Busy
from tests.relay.memory_storage import MemoryStorage
from tests.relay.relays import LIMITS

SIGNED = ProviderData("anthropic", "m", "s" * 10)
CALL = ToolCallBlock("a", "f", "{}")
RESULT = ToolResultBlock("a", "x" * 10)
KINDS = frozenset({"tool_result", "image", "file"})


class Branch:
    """A conversation of one branch, which the test writes message by message."""

    def __init__(self) -> None:
        self.storage = MemoryStorage("p")
        self._memory = self.storage.memory
        begun = now()
        self._memory.conversations["c"] = Conversation(
            id="c", user="u", created_at=begun, updated_at=begun
        )
        self._last: str | None = None

    def asks(self, *blocks: Block) -> None:
        self._add(Role.USER, blocks)

    def answers(
        self,
        *blocks: Block,
        status: Status = Status.COMPLETE,
        finish_reason: str | None = FinishReason.STOP,
        model: str = "p/m",
    ) -> None:
        self._add(Role.ASSISTANT, blocks, status, finish_reason, model)

    def exchange(self, text: str) -> None:
        self.asks(TextBlock(f"q{text}"))
        self.answers(TextBlock(f"a{text}"))

    def loop(self, rounds: int, *before: Block) -> None:
        """So many calls, each but the last with its result."""
        for number in range(rounds):
            if number:
                self.asks(RESULT)
            self.answers(*before, CALL)

    def _add(
        self,
        role: Role,
        blocks: tuple[Block, ...],
        status: Status = Status.COMPLETE,
        finish_reason: str | None = None,
        model: str | None = None,
    ) -> None:
        message = Message(
            id=f"m{len(self._memory.messages)}",
            conversation_id="c",
            user="u",
            role=role,
            parent_id=self._last,
            blocks=blocks,
            status=status,
            finish_reason=finish_reason,
            model=model,
            created_at=now(),
        )
        self._memory.messages[message.id] = message
        self._last = message.id

    async def history(
        self, *results: Block, kinds: frozenset[str] = KINDS, model: str = "p/m", **limits: int
    ) -> History:
        """The history of a question with these parts, or of text."""
        request = AskRequest(user="u", content="" if results else "q", parts=results)
        own: Limits = msgspec.structs.replace(LIMITS, **limits)
        return await history(
            self.storage,
            request,
            "c",
            model=model,
            kinds=lambda _model: kinds,
            question_chars=10,
            limits=own,
        )


@pytest.fixture
def branch() -> Branch:
    return Branch()


def texts(found: History) -> list[str]:
    return [turn.text for turn in found.turns]


def blocks(found: History) -> list[tuple[Block, ...]]:
    return [turn.blocks for turn in found.turns]


@pytest.mark.gen_test
async def test_the_newest_exchanges_that_fit_are_sent_whole(branch: Branch) -> None:
    for number in range(4):
        branch.exchange(str(number) * 10)  # 22 characters each

    for room, first in ((97, 1), (98, 0), (75, 2), (54, 2), (31, 4)):
        found = await branch.history(context_chars=room)
        assert [f"q{n}" for n in range(first, 4)] == [t[:2] for t in texts(found)[::2]], room
        assert "m7" == found.parent_id


@pytest.mark.gen_test
async def test_no_result_is_sent_without_its_call(branch: Branch) -> None:
    branch.exchange("0")
    branch.asks(TextBlock("q1"))
    branch.loop(3)
    branch.asks(RESULT)
    branch.answers(TextBlock("a1"))
    branch.exchange("2")
    whole = await branch.history()

    assert ["q0", "a0", "q1", "", "", "", "", "", "", "a1", "q2", "a2"] == texts(whole)
    firsts = set()
    for chars in range(10, 100):
        found = await branch.history(context_chars=chars)
        assert found.turns == whole.turns[len(whole.turns) - len(found.turns) :]
        firsts.update(texts(found)[:1])
    assert {"q0", "q1", "q2"} == firsts
    firsts.clear()
    for messages in range(1, 13):
        found = await branch.history(context_messages=messages)
        firsts.update(texts(found)[:1])
    assert {"q0", "q1", "q2"} == firsts


@pytest.mark.gen_test
async def test_a_loop_is_a_part_of_its_question_and_counts_as_one(branch: Branch) -> None:
    branch.exchange("0")
    branch.asks(TextBlock("q1"))
    branch.loop(3)  # with the question 2 + 3 * 3 + 2 * 11 = 33 characters

    found = await branch.history(RESULT, context_chars=10, max_question_chars=43)

    assert ["q1", "", "", "", "", ""] == texts(found)
    assert 8 == len((await branch.history(RESULT, context_chars=47)).turns)
    assert 6 == len((await branch.history(RESULT, context_chars=46)).turns)


@pytest.mark.gen_test
@pytest.mark.parametrize("limits", [{"max_question_chars": 42}, {"context_messages": 5}])
async def test_a_loop_that_is_too_long_is_refused(branch: Branch, limits: dict[str, int]) -> None:
    branch.exchange("0")
    branch.asks(TextBlock("q1"))
    branch.loop(3)

    with pytest.raises(ToolLoopTooLong):
        await branch.history(RESULT, **limits)

    without = await branch.history(**limits)  # a person goes on without the result
    assert "m7" == without.parent_id


@pytest.mark.gen_test
async def test_a_loop_longer_than_a_page_is_read_to_its_question(branch: Branch) -> None:
    branch.asks(TextBlock("q"))
    branch.loop(70)

    found = await branch.history(
        RESULT, context_chars=1, max_question_chars=9999, context_messages=200
    )

    assert 140 == len(found.turns)


@pytest.mark.gen_test
async def test_results_have_to_answer_the_answer_that_they_follow(branch: Branch) -> None:
    with pytest.raises(UnknownToolCall):
        await branch.history(RESULT)  # there is no answer yet
    branch.asks(TextBlock("q"))
    branch.answers(CALL, ToolCallBlock("b", "f", "{}"))

    with pytest.raises(MissingToolResults):
        await branch.history(RESULT)
    with pytest.raises(UnknownToolCall):
        await branch.history(ToolResultBlock("c", ""))
    both = await branch.history(RESULT, ToolResultBlock("b", ""))
    assert 2 == len(both.turns)
    branch.asks(RESULT, ToolResultBlock("b", ""))
    branch.answers(TextBlock("a"))
    with pytest.raises(UnknownToolCall):
        await branch.history(RESULT)  # that call was answered


@pytest.mark.gen_test
async def test_results_for_a_live_answer_are_too_early(branch: Branch) -> None:
    branch.asks(TextBlock("q"))
    branch.answers(CALL, status=Status.LIVE, finish_reason=None)

    with pytest.raises(Busy):
        await branch.history(RESULT)


@pytest.mark.gen_test
async def test_a_question_is_no_parent(branch: Branch) -> None:
    branch.asks(TextBlock("q"))

    with pytest.raises(UnknownParent):
        await branch.history(RESULT)


@pytest.mark.gen_test
async def test_reasoning_with_data_is_sent_again_and_counts(branch: Branch) -> None:
    signed = ReasoningBlock("hm", SIGNED)
    branch.asks(TextBlock("q"))
    branch.answers(ReasoningBlock("so"), signed, TextBlock("a"))

    found = await branch.history(context_chars=10 + 1 + 2 + 12 + 1)

    assert [(TextBlock("q"),), (signed, TextBlock("a"))] == blocks(found)
    assert () == (await branch.history(context_chars=10 + 1 + 2 + 12)).turns


@pytest.mark.gen_test
async def test_data_is_not_sent_to_a_model_of_the_same_name_of_another_provider(
    branch: Branch,
) -> None:
    call = ToolCallBlock("a", "f", "{}", SIGNED)
    branch.asks(TextBlock("q"))
    branch.answers(ReasoningBlock("hm", SIGNED), call)

    assert (ReasoningBlock("hm", SIGNED), call) == (await branch.history(RESULT)).turns[1].blocks
    assert (CALL,) == (await branch.history(RESULT, model="other/m")).turns[1].blocks


@pytest.mark.gen_test
async def test_reasoning_of_a_cut_off_answer_is_not_sent(branch: Branch) -> None:
    branch.asks(TextBlock("q"))
    branch.answers(ReasoningBlock("hm", SIGNED), TextBlock("a"), status=Status.STOPPED)

    assert [(TextBlock("q"),), (TextBlock("a"),)] == blocks(await branch.history())


@pytest.mark.gen_test
async def test_reasoning_without_data_is_sent_within_its_loop_to_its_model(branch: Branch) -> None:
    thought = ReasoningBlock("so")
    branch.asks(TextBlock("q"))
    branch.loop(1, thought)

    assert (thought, CALL) == (await branch.history(RESULT)).turns[1].blocks
    assert (CALL,) == (await branch.history(RESULT, model="p/other")).turns[1].blocks
    assert (CALL,) == (await branch.history()).turns[1].blocks


@pytest.mark.gen_test
async def test_what_a_model_does_not_take_is_left_out(branch: Branch) -> None:
    branch.asks(TextBlock("q"), ImageBlock(url="https://x.test/a.png"))
    branch.loop(2)
    branch.asks(RESULT)
    branch.answers(TextBlock("a"))
    branch.asks(FileBlock(file_id="c-1", size=10))
    branch.answers(TextBlock("b"))

    found = await branch.history(kinds=frozenset())

    assert ["q", "a", "[attachment]", "b"] == texts(found)
    assert {TextBlock} == {type(block) for each in found.turns for block in each.blocks}


@pytest.mark.gen_test
async def test_the_newest_images_and_files_are_sent_again(branch: Branch) -> None:
    for number in range(3):
        branch.asks(TextBlock("q"), ImageBlock(file_id=f"c-{number}", size=100))
        branch.answers(TextBlock("a"))

    found = await branch.history(context_part_bytes=250)

    assert [1, 2, 2] == [len(turn.blocks) for turn in found.turns if turn.role is Role.USER]
    assert [1, 1, 2] == [
        len(turn.blocks)
        for turn in (await branch.history(context_part_bytes=100)).turns
        if turn.role is Role.USER
    ]


@pytest.mark.gen_test
async def test_a_question_of_images_that_are_not_sent_keeps_its_place(branch: Branch) -> None:
    branch.asks(ImageBlock(file_id="c-1", size=10))
    branch.answers(TextBlock("a cat"))
    branch.asks(ImageBlock(file_id="c-2", size=10))
    branch.loop(1)

    found = await branch.history(RESULT, kinds=frozenset({"tool_result"}))

    assert ["[attachment]", "a cat", "[attachment]", ""] == texts(found)
    assert (CALL,) == found.turns[-1].blocks


@pytest.mark.gen_test
async def test_a_loop_keeps_the_images_of_its_question_whatever_their_size(
    branch: Branch,
) -> None:
    old, new = ImageBlock(file_id="c-1", size=10), ImageBlock(file_id="c-2", size=99)
    branch.asks(TextBlock("q"), old)
    branch.answers(TextBlock("a"))
    branch.asks(TextBlock("q"), new)
    branch.loop(2)

    in_loop = await branch.history(RESULT, context_part_bytes=10)
    after = await branch.history(context_part_bytes=10)

    assert [(TextBlock("q"), old), (TextBlock("q"), new)] == blocks(in_loop)[::2][:2]
    assert [(TextBlock("q"),), (TextBlock("q"),)] == blocks(after)[::2][:2]


@pytest.mark.gen_test
async def test_reasoning_of_another_model_takes_no_room(branch: Branch) -> None:
    branch.asks(TextBlock("q"))
    branch.answers(ReasoningBlock("hm" * 100, SIGNED), TextBlock("a"))

    found = await branch.history(model="p/other", context_chars=12)

    assert [(TextBlock("q"),), (TextBlock("a"),)] == blocks(found)


@pytest.mark.gen_test
async def test_a_message_of_which_nothing_is_sent_is_no_turn(branch: Branch) -> None:
    branch.asks(TextBlock("q"))
    branch.answers(status=Status.FAILED)
    branch.asks(TextBlock("again"))
    branch.answers(ReasoningBlock("hm"), TextBlock(""))

    found = await branch.history()

    assert (Turn(Role.USER, (TextBlock("q"),)), Turn(Role.USER, (TextBlock("again"),))) == (
        found.turns
    )
