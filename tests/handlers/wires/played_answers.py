"""Answers of any kind, and connections that read them: live, ended, or at another process, cut
anywhere.

A connection is what `StreamingHandler` sends, without sockets: the wire's beginning, growth of any
length, the end. It may break off at any byte, and the client connects again.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from hypothesis import strategies as st

from handlers.wires.wire import Wire
from model.blocks import ImageBlock, ProviderData
from model.messages import ClientData, Ending, Failure, Message, Role, Status
from model.usage import Usage
from relay.answer import Answer, length

_TIME = datetime(2026, 11, 27, tzinfo=UTC)

# Chinese, code points beyond the first plane, what JSON escapes, and what some take for line ends.
_texts = st.text(alphabet='ab 世界好\n"\\😀𝄞\u2028\u0085é', min_size=1, max_size=5)
_data = st.just(("data", ""))
_tokens = st.lists(_texts, min_size=1, max_size=4)
_of_text = st.builds(lambda texts: [("text", text) for text in texts], _tokens)
_of_reasoning = st.builds(
    lambda texts, data: [*(("reasoning", text) for text in texts), *data],
    _tokens,
    st.lists(_data, max_size=1),
)
_of_call = st.builds(
    lambda texts, data: [("call", ""), *(("arguments", text) for text in texts), *data],
    st.one_of(_tokens, st.sampled_from([['{"ci', 'ty":', '"北京"}'], []])),
    st.lists(_data, max_size=1),
)
_of_image = st.just([("image", "")])

# The growth of an answer, token by token.
growths = st.lists(st.one_of(_of_text, _of_reasoning, _of_call, _of_image), max_size=6).map(
    lambda blocks: [token for block in blocks for token in block]
)
endings = st.sampled_from(
    [
        (Status.COMPLETE, "stop"),
        (Status.COMPLETE, "length"),
        (Status.COMPLETE, "tool_calls"),
        (Status.STOPPED, None),
        (Status.FAILED, None),
        (Status.INTERRUPTED, None),
        (Status.ABANDONED, None),
    ]
)
sources = st.sampled_from(["live", "remote", "ended"])


class Client(Protocol):
    """An official client, or what it does with a stream."""

    def connect(self, answer: Answer, grow: Callable[[], None]) -> tuple[Wire, int]:
        """Connect, for the first time or again: the wire, and the position that it begins at.

        `grow` lets the answer grow, for handlers that first wait until it has what the client has.
        """

    def receive(self, data: bytes) -> None:
        """What arrived on one connection, all of it or up to where it was cut."""


class PlayedAnswer:
    """An answer that grows as it is read, by tokens that are given."""

    def __init__(
        self,
        tokens: list[tuple[str, str]],
        ending: tuple[Status, str | None],
        client: ClientData | None,
    ) -> None:
        self._tokens = list(tokens)
        self._status, self._reason = ending
        self._client = client
        self._calls = 0
        self.live = self._empty()

    @property
    def ending(self) -> Ending | None:
        return self.live.ending

    def grow(self) -> None:
        """Grow by a token, or end."""
        if not self._tokens:
            error = Failure("stream_broken", "It broke.") if self._status is Status.FAILED else None
            self.live.end(
                Ending(
                    status=self._status,
                    blocks=self.live.blocks(),
                    finish_reason=self._reason,
                    usage=Usage(3, 4),
                    error=error,
                    ended_at=_TIME,
                )
            )
            return
        kind, text = self._tokens.pop(0)
        match kind:
            case "text":
                self.live.append_text(text)
            case "reasoning":
                self.live.append_reasoning(text)
            case "call":
                self._calls += 1
                self.live.open_tool_call(f"call_{self._calls}", "weather")
            case "arguments":
                self.live.append_arguments(text)
            case "data":
                self.live.append_data(ProviderData("anthropic", "m", {"signature": "s"}))
            case _:
                self.live.append_whole(ImageBlock(url="https://localhost/i.png"))

    def ended(self) -> Answer:
        """The answer as the store has it after its end."""
        while self.live.ending is None:
            self.grow()
        ending = self.live.ending
        fields = {name: getattr(ending, name) for name in ending.__struct_fields__}
        return Answer.restored(msgspec.structs.replace(self._message(), **fields))

    def remote(self) -> Answer:
        """The answer as another process begins to read it."""
        answer = self._empty()
        answer.is_remote = True
        return answer

    def _empty(self) -> Answer:
        return Answer.restored(self._message())

    def _message(self) -> Message:
        return Message(
            id="c-a",
            conversation_id="c",
            user="u",
            role=Role.ASSISTANT,
            parent_id="c-q",
            model="openai/m",
            status=Status.LIVE,
            client=self._client,
            created_at=_TIME,
        )


def play(played: PlayedAnswer, client: Client, data: Any, *, source: str, is_cut: bool) -> None:
    """One connection of `client`, which may break off anywhere if `is_cut`.

    `data` draws: how much is written at a time, how far the other process is behind, and so on.
    """
    answer = {"live": lambda: played.live, "ended": played.ended, "remote": played.remote}[source]()

    def grow() -> None:
        if source == "remote":
            _follow(answer, played, data)
        else:
            played.grow()

    if source == "remote":
        grow()
    wire, position = client.connect(answer, grow)
    sent = [wire.begin(answer)]
    while True:
        if pieces := answer.beyond(position, data.draw(st.integers(1, 12))):
            sent.append(wire.growth(answer, position, pieces))
            position += length(pieces)
        elif answer.ending is not None:
            sent.append(wire.end(answer, position, "request"))
            break
        elif is_cut and data.draw(st.booleans()):
            break
        else:
            grow()
    received = b"".join(sent)
    client.receive(received[: data.draw(st.integers(0, len(received)))] if is_cut else received)


def _follow(answer: Answer, played: PlayedAnswer, data: Any) -> None:
    """Grow as another process' copy does: by some of what there is, or by nothing."""
    for _ in range(data.draw(st.integers(0, 3))):
        if played.ending is None:
            played.grow()
    answer.extend(played.live.beyond(answer.position, data.draw(st.integers(1, 12))))
    if played.ending is not None and answer.position == played.live.position:
        answer.end(played.ending)


def played_to_its_end(
    client: Client,
    data: Any,
    *,
    kept: ClientData | None = None,
) -> Answer:
    """Play an answer over any number of connections; what is stored of it."""
    played = PlayedAnswer(data.draw(growths), data.draw(endings), kept)
    for source in data.draw(st.lists(sources, max_size=4)):
        play(played, client, data, source=source, is_cut=True)
    play(played, client, data, source=data.draw(sources), is_cut=False)
    return played.ended()
