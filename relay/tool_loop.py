"""Tool loops: calls that an answer made, and the results with which a question answers them.

Providers accept a call only with its result, right after the answer that made it. So a question
brings the results of all open calls of the answer that it follows, or of none: a person may go on
without them, and the model is told that the calls were not carried out.
"""

from collections import Counter
from collections.abc import Iterable

from msgspec import structs

from model.blocks import Block, ReasoningBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Ending, FinishReason, Message, Role, Status
from model.prompt import Turn
from relay.errors import MissingToolResults, UnknownToolCall

# What the model gets in place of a result that nobody sent.
NOT_CARRIED_OUT = "This call was not carried out."

_OF_TOOLS = (ToolCallBlock, ToolResultBlock)

# Reasons of an answer whose end is missing. Its last block may be a part of what the model meant.
_CUT_OFF = frozenset({FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.ERROR})


def is_whole(answer: Message | Ending) -> bool:
    """Whether the model ended the answer itself, so that its calls and reasoning can be used."""
    return answer.status is Status.COMPLETE and answer.finish_reason not in _CUT_OFF


def open_calls(answer: Message) -> tuple[str, ...]:
    """The ids of the calls that the next question may answer."""
    return calls_in(answer.blocks) if is_whole(answer) else ()


def calls_in(blocks: Iterable[Block]) -> tuple[str, ...]:
    """The ids of the tool calls in `blocks`."""
    return tuple(block.id for block in blocks if isinstance(block, ToolCallBlock))


def results_in(blocks: Iterable[Block]) -> tuple[str, ...]:
    """The ids of the calls that `blocks` have results of."""
    return tuple(block.id for block in blocks if isinstance(block, ToolResultBlock))


def check_results(results: tuple[str, ...], calls: Iterable[str]) -> None:
    """Return if there are no results, or exactly one for each of `calls`.

    Raises UnknownToolCall and MissingToolResults.
    """
    if not results:
        return
    given, made = Counter(results), Counter(calls)
    if given - made:
        raise UnknownToolCall
    if made - given:
        raise MissingToolResults


def kept_of(
    answer: Message, *, model: str | None, with_tools: bool, with_reasoning: bool
) -> tuple[Block, ...]:
    """The blocks of an answer that are sent again.

    That is its text. Of a whole answer it is also the calls, and reasoning with data of `model`,
    which is asked and may need it back; other reasoning with `with_reasoning` only. `model` is None
    if the provider is another one, whose account may not read the data of a model of this name.
    Without `with_tools` the target takes no calls, and what was reasoned about them is left out as
    well.
    """
    blocks = answer.blocks
    if not is_whole(answer) or not (with_tools or not calls_in(blocks)):
        return tuple(block for block in blocks if isinstance(block, TextBlock) and block.text)
    kept = (block for block in blocks if _is_kept(block, model, with_reasoning=with_reasoning))
    return tuple(kept if model is not None else map(_without_data, kept))


def _without_data(block: Block) -> Block:
    if isinstance(block, ReasoningBlock | ToolCallBlock) and block.data is not None:
        return structs.replace(block, data=None)
    return block


def _is_kept(block: Block, model: str | None, *, with_reasoning: bool) -> bool:
    match block:
        case TextBlock():
            return bool(block.text)
        case ReasoningBlock():
            return with_reasoning or (block.data is not None and block.data.model == model)
        case _:
            return isinstance(block, ToolCallBlock)


def answered(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """`turns` in which every call has one result in the turn that follows, in the order of calls.

    Where nobody answered a call its result is `NOT_CARRIED_OUT`. Results of other calls are left
    out.
    """
    if not any(isinstance(block, _OF_TOOLS) for turn in turns for block in turn.blocks):
        return turns
    found: list[Turn] = []
    calls: tuple[str, ...] = ()
    for turn in turns:
        if calls and turn.role != Role.USER:
            found.append(Turn(Role.USER, tuple(_results_of(calls, ()))))
            calls = ()
        blocks = turn.blocks
        if calls or results_in(blocks):
            others = (block for block in blocks if not isinstance(block, ToolResultBlock))
            blocks = (*_results_of(calls, blocks), *others)
        if blocks:
            found.append(structs.replace(turn, blocks=blocks))
        calls = calls_in(blocks) if turn.role == Role.ASSISTANT else ()
    return tuple(found)


def _results_of(calls: Iterable[str], blocks: Iterable[Block]) -> Iterable[ToolResultBlock]:
    given: dict[str, list[ToolResultBlock]] = {}
    for block in blocks:
        if isinstance(block, ToolResultBlock):
            given.setdefault(block.id, []).append(block)
    for call_id in calls:
        results = given.get(call_id)
        yield results.pop(0) if results else ToolResultBlock(call_id, NOT_CARRIED_OUT, True)
