"""The APIs that a scripted upstream has: where they are, and what they refuse."""

from collections.abc import Mapping
from typing import Any

from tests import (
    anthropic_api,
    dashscope_api,
    gemini_api,
    ollama_api,
    openai_api,
    openai_responses_checks,
    qianfan_v1_api,
)

# Where each dialect's `base_url` ends on this server, and where its answers are asked for.
BASE_PATHS = {
    "openai": "/v1",
    "openai-responses": "/v1",
    "dashscope": "/api/v1",
    "qianfan": "/v2",
    "qianfan-v1": "",
    "anthropic": "",
    "ollama": "",
    "gemini": "/v1beta",
}
_CHAT_PATHS = {
    "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/": "qianfan-v1",
    "/services/aigc/text-generation/generation": "dashscope",
    dashscope_api.MULTIMODAL_PATH: "dashscope-multimodal",
    "/v2/chat/completions": "qianfan",
    "/v1/messages": "anthropic",
    "/api/chat": "ollama",
    ":streamGenerateContent": "gemini",
    "/chat/completions": "openai",  # under any prefix
    "/responses": "openai-responses",
}
_OF_ONE_TARGET = {
    "anthropic": anthropic_api.refusal,
    "openai-responses": openai_responses_checks.refusal,
    "ollama": ollama_api.refusal,
    "qianfan-v1": qianfan_v1_api.refusal,
}
_OF_MANY_TARGETS = {
    "openai": openai_api.refusal,
    "qianfan": openai_api.refusal,
    "dashscope": dashscope_api.refusal,
    "dashscope-multimodal": dashscope_api.refusal,
    "gemini": gemini_api.refusal,
}


def dialect_at(path: str) -> str:
    """Which API is asked at a path: a dialect, or `dashscope-multimodal`."""
    return next(dialect for chat, dialect in _CHAT_PATHS.items() if chat in path)


def refusal(target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any] | None:
    """What an API refuses: the status and the body of the error, or None."""
    dialect = dialect_at(target)
    if dialect in _OF_MANY_TARGETS:
        return _OF_MANY_TARGETS[dialect](target, headers, body)
    return _OF_ONE_TARGET[dialect](headers, body)
