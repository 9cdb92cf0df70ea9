"""How the OpenAPI document describes fields that several bodies and events have."""

from msgspec import Meta

CONVERSATION_ID = Meta(
    description="The conversation's id.", examples=["0f2c9a4b7d1e4c3f8a6b5d2e1c0f9a8b"]
)
QUESTION_ID = Meta(
    description="The id of the question.", examples=["5b1e8c7d2f3a4b6c9d0e1f2a3b4c5d6e"]
)
ANSWER_ID = Meta(description="The id of the answer.", examples=["9d0e1f2a3b4c5d6e5b1e8c7d2f3a4b6c"])
MODEL = Meta(
    description="The model that was asked, as `<provider>/<model>`.",
    examples=["openai/gpt-4o-mini"],
)
FINISH_REASON = Meta(
    description="Why the model stopped: `stop`, `length`, `tool_calls`, `content_filter` or "
    "`error`; null if the provider did not say, or the answer was not finished.",
    examples=["stop"],
)
USAGE = Meta(description="Tokens read and written; null while they are not known.")
TIMING = Meta(
    description="How long the answer took; null while it is live, and if the process that "
    "generated it did not end it."
)
