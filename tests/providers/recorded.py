"""An outcome that is an answer's record, too: its blocks are those that would be stored."""

from model.blocks import Block, ProviderData, ReasoningBlock, TextBlock, text_in
from model.messages import Attempt
from providers.sink import Kind
from relay.answer import Answer
from tests.providers.outcome import Outcome


class Recorded(Outcome):
    """A sink that writes down what comes as the relay does."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.answer = Answer("a", "c", "q", model)
        self.attempts: list[Attempt] = []

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks so far."""
        return self.answer.blocks()

    def text(self, text: str) -> None:
        super().text(text)
        self.answer.append_text(text)

    def refusal(self, text: str) -> None:
        super().refusal(text)
        self.answer.append_text(text)

    def written(self, kind: Kind) -> str:
        """As the relay: a refusal counts as text."""
        wanted = ReasoningBlock if kind == "reasoning" else TextBlock
        return "".join(text_in(each) for each in self.blocks if type(each) is wanted)

    def reasoning(self, text: str) -> None:
        super().reasoning(text)
        self.answer.append_reasoning(text)

    def tool_call(self, call_id: str, name: str) -> None:
        super().tool_call(call_id, name)
        self.answer.open_tool_call(call_id, name)

    def arguments(self, text: str) -> None:
        super().arguments(text)
        self.answer.append_arguments(text)

    def data(self, data: ProviderData) -> None:
        super().data(data)
        self.answer.append_data(data)

    def attempt_ended(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
