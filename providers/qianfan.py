"""Baidu's Qianfan v2: ERNIE 文心一言 and others in OpenAI's shape.

Proved with openai 3.54.0 and qianfan 0.4.12.3. Usage comes in the finish chunk, asked for or not;
`finish_reason` is absent until the end, where older models say `normal`; errors may come as bare
`{"code", "message"}` under HTTP 200. All that is within what the `openai` dialect reads anyway. Its
own is `flag`, the verdict of Baidu's moderation on each piece.
"""

from collections.abc import Iterator
from typing import Final

from providers.dialect import Delta, FinishReason
from providers.openai import Choice, Chunk, OpenAI

# 0 is safe and 1 of low risk; from 2 the conversation must end, 3 must not be shown, 4 must be
# withdrawn.
_MUST_END: Final = 2
_MUST_NOT_BE_SHOWN: Final = 3


class Qianfan(OpenAI):
    """Qianfan v2, with a key of the kind `bce-v3/…`. `base_url` ends in `/v2`."""

    default_base_url = "https://qianfan.baidubce.com/v2"

    def __init__(self, base_url: str = default_base_url, api_key: str | None = None) -> None:
        super().__init__(base_url, api_key)

    def _says(self, chunk: Chunk) -> Iterator[Delta]:
        for choice in chunk.choices or ():
            if choice.flag is not None and choice.flag >= _MUST_NOT_BE_SHOWN:
                choice.delta = choice.message = None
        return super()._says(chunk)

    def _reason(self, choice: Choice) -> FinishReason:
        """What was shown cannot be taken back: the reason says that it should not have been."""
        if choice.flag is not None and choice.flag >= _MUST_END:
            return FinishReason.CONTENT_FILTER
        return super()._reason(choice)
