"""Baidu's Qianfan v2: ERNIE 文心一言 and others, in OpenAI's format.

Checked against openai 3.54.0 and qianfan 0.4.12.3. Usage comes in the finish chunk, requested or
not; `finish_reason` is absent until the end, while older models send `normal`; errors may be a bare
`{"code", "message"}` with HTTP 200. The `openai` dialect reads all of this anyway. The one addition
is `flag`, the verdict of Baidu's moderation on each piece.
"""

from typing import Final

from model.messages import FinishReason
from presets import USUAL, Switches
from providers.assembler import Assembler
from providers.dialect import Interpreter
from providers.openai import OpenAI
from providers.openai_interpreter import OpenAIChoice, OpenAIChunk, OpenAIInterpreter
from providers.sink import Finish

# Values of `flag`. 0 is safe and 1 of low risk; from 2 the conversation must end, 3 must not be
# shown, and 4 must be withdrawn.
_MUST_END: Final = 2
_MUST_NOT_BE_SHOWN: Final = 3


class Qianfan(OpenAI):
    """Qianfan v2, with an API key that begins with `bce-v3/`. `base_url` ends in `/v2`."""

    def __init__(self, base_url: str, switches: Switches = USUAL) -> None:
        super().__init__(base_url, switches, server="qianfan")

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response."""
        return _QianfanInterpreter(out, done_ends=self._switches.done_ends)


class _QianfanInterpreter(OpenAIInterpreter):
    _left_out = False  # a piece came that must not be shown

    def interpret(self, body: OpenAIChunk) -> bool:
        """One chunk, without what must not be shown."""
        for choice in body.choices or ():
            if choice.flag is not None and choice.flag >= _MUST_NOT_BE_SHOWN:
                choice.delta = choice.message = choice.text = None
                self._left_out = True
        return super().interpret(body)

    def _finish(self, choice: OpenAIChoice) -> Finish | None:
        """Return the finish mark.

        Shown text cannot be withdrawn: the reason says that it was filtered.
        """
        finish = super()._finish(choice)
        must_end = choice.flag is not None and choice.flag >= _MUST_END
        if finish is not None and (must_end or self._left_out):
            return Finish(FinishReason.CONTENT_FILTER, finish.word)
        return finish
