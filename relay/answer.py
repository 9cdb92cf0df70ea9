"""An answer is a record that only grows; a reader (`reader.py`) is a cursor on it.

An answer's position is the number of code points in it so far, over all blocks in order; what has
no text counts one: a tool call's opening, provider data, an image, a file. So every growth moves
it. Streaming, resuming, a second reader, replaying an ended answer and saving a live one all ask
the same question: what lies beyond my position?
"""

import copy
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime

from model.blocks import (
    Block,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    kind_of,
)
from model.growth import Piece, block
from model.messages import ClientData, Ending, Message, now
from relay.fan_out import FanOut, Wakeable

# Characters in one write. A slow reader gets longer writes than a fast one, but no longer than
# this, so that less than 64 KiB is queued for it. JSON takes up to 6 bytes a character, and each
# block's event some 60 more.
MAX_EVENT_CHARS = 8 * 1024
MAX_EVENT_BLOCKS = 256

# Tokens are short strings with 50 bytes of overhead each. So many of them are joined into one,
# which reduces an answer's memory to about that of its text.
_SEAL_AFTER = 64

# The types of blocks that can have provider data.
_WITH_DATA = ("reasoning", "tool_call")


class Answer:
    """The record of one answer. It grows at its end only, until `end`, which is called once.

    Its readers learn of growth when `deliver` is called: a read of the provider's socket may bring
    twenty tokens, which are one event for each reader then.
    """

    def __init__(
        self,
        answer_id: str,
        conversation_id: str,
        question_id: str,
        model: str,
        created_at: datetime | None = None,
    ) -> None:
        self.id = answer_id
        self.conversation_id = conversation_id
        self.question_id = question_id
        self.model = model
        self.created_at = created_at or now()
        self.position = 0
        self.client: ClientData | None = None  # what the protocol of its question needs again
        self.ending: Ending | None = None
        self.prompt_tokens = 0  # an estimate, or the provider's figure where the answer has ended
        self.is_remote = False  # another process generates it, and has more of it than this one
        self._blocks: list[_Block] = []
        self._starts: list[int] = []  # the blocks' start positions, for finding a block by position
        self.tool_calls = 0
        self._readers = FanOut()
        self._delivered = 0  # the position that the readers were last woken for
        self._delivered_blocks = 0  # the number of blocks then

    @classmethod
    def restored(cls, message: Message) -> "Answer":
        """The record of a stored answer, with the same positions as when it was live."""
        answer = cls(
            message.id,
            message.conversation_id,
            message.parent_id or "",
            message.model or "",
            message.created_at,
        )
        answer.client = message.client
        if message.usage is not None:
            answer.prompt_tokens = message.usage.input_tokens
        for kept in message.blocks:
            answer._restore(kept)
        if message.ended_at is not None:
            answer.ending = Ending(
                status=message.status,
                blocks=message.blocks,
                finish_reason=message.finish_reason,
                usage=message.usage,
                timing=message.timing,
                error=message.error,
                attempts=message.attempts,
                ended_at=message.ended_at,
            )
        return answer

    def append_text(self, text: str) -> None:
        """Grow by text; after a block of another type this opens a new one."""
        self._append("text", text)

    def append_reasoning(self, text: str) -> None:
        """Grow by reasoning; after a block of another type this opens a new one."""
        self._append("reasoning", text)

    def open_tool_call(self, call_id: str, name: str) -> None:
        """Grow by a tool call without arguments."""
        self._open(Piece(len(self._blocks), "tool_call", "", call_id, name))
        self.tool_calls += 1
        self.position += 1

    def append_arguments(self, arguments: str) -> None:
        """Grow by arguments of the last block, which must be a tool call."""
        self._append("tool_call", arguments)

    def append_data(self, data: ProviderData) -> None:
        """Grow by provider data on the last block, if it is reasoning or a tool call.

        The data closes that block. After any other block it opens reasoning without text.
        """
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.data is not None or last.opening.type not in _WITH_DATA:
            self._open(Piece(len(self._blocks), "reasoning", ""))
        self._blocks[-1].data = data
        self.position += 1

    def append_whole(self, whole: Block) -> None:
        """Grow by a block that comes whole: an image or a file."""
        self._open(Piece(len(self._blocks), kind_of(whole), "", whole=whole))
        self.position += 1

    def extend(self, pieces: Iterable[Piece]) -> None:
        """Grow by pieces, of which only what is beyond the position counts."""
        for piece in pieces:
            if piece.whole is not None:
                self.append_whole(piece.whole)
                continue
            if piece.type == "tool_call":
                if piece.id is not None:
                    self.open_tool_call(piece.id, piece.name or "")
                self.append_arguments(piece.text)
            elif piece.type == "reasoning":
                self.append_reasoning(piece.text)
            else:
                self.append_text(piece.text)
            if piece.data is not None:
                self.append_data(piece.data)

    def beyond(self, position: int, limit: int | None = None) -> list[Piece]:
        """The growth beyond `position`, in order, one piece for each block.

        With `limit` at most that many characters, and at most MAX_EVENT_BLOCKS pieces.
        """
        if position >= self.position:
            return []
        last_block = self._blocks[-1]
        if position >= last_block.start:  # nearly always: a reader is at most some tokens behind
            return [last_block.beyond(position, limit)]
        first = bisect_right(self._starts, position) - 1
        last = None if limit is None else first + MAX_EVENT_BLOCKS
        pieces = []
        for grown in self._blocks[first:last]:
            piece = grown.beyond(position, limit)
            pieces.append(piece)
            position += piece.length
            if limit is not None:
                limit -= piece.length
                if limit <= 0:
                    break
        return pieces

    def snapshot(self) -> "Answer":
        """A copy of the record as it is now, which shares its text and does not grow."""
        taken = copy.copy(self)
        taken._readers = FanOut()
        return taken

    def blocks(self) -> tuple[Block, ...]:
        """All blocks, as they are stored."""
        return tuple(map(self.block, range(len(self._blocks))))

    def block(self, place: int) -> Block:
        """The block at `place`, counted from 0, as it is so far."""
        grown = self._blocks[place]
        return block(grown.opening, "".join(grown.texts), grown.data)

    def start_of(self, place: int) -> int:
        """The position at which the block at `place` begins."""
        return self._starts[place]

    def type_of(self, place: int) -> str:
        """The type of the block at `place`."""
        return self._blocks[place].opening.type

    def opening_of(self, place: int) -> Piece:
        """The piece that opened the block at `place`, without its text: of a tool call its id and
        name.
        """
        return self._blocks[place].opening

    def tool_call_index(self, place: int) -> int:
        """Which tool call the block at `place` is, counted from 0."""
        return self._blocks[place].tool_call_index

    def end(self, ending: Ending) -> None:
        """End the answer: it grows no more, and readers that have read all of it are done."""
        self.ending = ending
        self._delivered = self.position
        self._readers.wake()

    def deliver(self) -> None:
        """Have all readers look for growth, if there is any."""
        if self.position != self._delivered:
            self._delivered = self.position
            self._delivered_blocks = len(self._blocks)
            self._readers.wake()

    @property
    def has_new_block(self) -> bool:
        """Whether a block was opened that has not been delivered."""
        return len(self._blocks) != self._delivered_blocks

    def end_as_stored(self, kept: Message) -> None:
        """End the answer as the store has it, which may be shorter than what was known here."""
        final = Answer.restored(kept)
        assert final.ending is not None
        if final.position < self.position:
            self._blocks, self._starts = final._blocks, final._starts
            self.position, self.tool_calls = final.position, final.tool_calls
        else:
            self.extend(final.beyond(self.position))
        self.end(final.ending)

    def disconnect_readers(self) -> None:
        """Disconnect all readers before the end."""
        self._readers.disconnect()

    def attach(self, reader: Wakeable) -> None:
        """Add a reader, to be woken when growth is delivered."""
        self._readers.add(reader)

    def detach(self, reader: Wakeable) -> None:
        """Remove a reader."""
        self._readers.remove(reader)

    @property
    def block_count(self) -> int:
        """The number of blocks so far."""
        return len(self._blocks)

    @property
    def readers(self) -> int:
        """The number of readers in this process."""
        return len(self._readers)

    def _append(self, kind: str, text: str) -> None:
        if not text:
            return
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.opening.type != kind or last.data is not None:
            last = self._open(Piece(len(self._blocks), kind, ""))
        last.append(text)
        self.position += len(text)

    def _restore(self, kept: Block) -> None:
        """Grow by a whole block as it is stored."""
        match kept:
            case TextBlock():
                self.append_text(kept.text)
            case ReasoningBlock():
                self.append_reasoning(kept.text)
                if kept.data is not None:
                    self.append_data(kept.data)
            case ToolCallBlock():
                self.open_tool_call(kept.id, kept.name)
                self.append_arguments(kept.arguments)
                if kept.data is not None:
                    self.append_data(kept.data)
            case _:
                self.append_whole(kept)

    def _open(self, opening: Piece) -> "_Block":
        opened = _Block(opening, self.position, self.tool_calls)
        self._blocks.append(opened)
        self._starts.append(self.position)
        return opened


class _Block:
    """One growing block: its texts, and the answer's position after each of them.

    `data` closes it and comes after all its text.
    """

    __slots__ = ("data", "ends", "opening", "start", "texts", "tool_call_index", "unsealed")

    def __init__(self, opening: Piece, start: int, tool_call_index: int) -> None:
        self.opening = opening
        self.start = start
        self.tool_call_index = tool_call_index
        self.texts: list[str] = []
        self.ends: list[int] = []
        self.unsealed = 0
        self.data: ProviderData | None = None

    def append(self, text: str) -> None:
        self.ends.append((self.ends[-1] if self.ends else self._text_start) + len(text))
        self.texts.append(text)
        self.unsealed += 1
        if self.unsealed == _SEAL_AFTER:
            self.texts[-_SEAL_AFTER:] = ["".join(self.texts[-_SEAL_AFTER:])]
            self.ends[-_SEAL_AFTER:] = self.ends[-1:]
            self.unsealed = 0

    def beyond(self, position: int, limit: int | None) -> Piece:
        opening = self.opening
        if opening.whole is not None:
            return opening
        call_id = name = None
        if opening.id is not None and position == self.start:
            call_id, name = opening.id, opening.name
            position += 1
            if limit is not None:
                limit -= 1
        text = self._text_beyond(position, limit)
        data = self.data
        if data is not None and limit is not None and len(text) == limit:
            data = None  # it comes with the next piece
        return Piece(opening.block, opening.type, text, call_id, name, data)

    def _text_beyond(self, position: int, limit: int | None) -> str:
        first = bisect_right(self.ends, position)
        if first == len(self.ends):
            return ""
        text = self.texts[first]
        skipped = position - (self.ends[first] - len(text))
        if skipped or (limit is not None and len(text) > limit):
            text = text[skipped : None if limit is None else skipped + limit]
        if first + 1 == len(self.texts) or (limit is not None and len(text) >= limit):
            return text
        if limit is None:
            return text + "".join(self.texts[first + 1 :])
        last = bisect_left(self.ends, position + limit, first + 1)
        return (text + "".join(self.texts[first + 1 : last + 1]))[:limit]

    @property
    def _text_start(self) -> int:
        return self.start + self.opening.length


def length(pieces: Iterable[Piece]) -> int:
    """By how much the position grows over `pieces`."""
    return sum(piece.length for piece in pieces)
