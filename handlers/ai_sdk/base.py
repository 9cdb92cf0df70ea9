"""What the handlers of the AI SDK's UI stream have in common: their errors, and a chat's id."""

from handlers.chosen_ids import ChosenIdHandler
from handlers.errors import ErrorResponse
from handlers.wires.ai_sdk import PROTOCOL


class AISDKHandler(ChosenIdHandler):
    """A handler whose errors `useChat` shows as they are: the message alone, as text."""

    protocol = PROTOCOL

    def write_refusal(self, error: ErrorResponse) -> None:
        """Write the message of an error; its code is in a header."""
        self.set_status(error.status)
        self.set_header("Headrace-Error", error.code)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(error.message)
