"""Where servers with OpenAI's chat completions differ from OpenAI, as their documentation says it.

A scripted upstream has each of them below a path of its own, such as `/deepseek/chat/completions`.
"""

from collections.abc import Mapping
from typing import NamedTuple

_COMMON = frozenset(
    (
        *("stream", "stream_options", "temperature", "top_p", "stop", "tools", "tool_choice"),
        *("response_format", "max_tokens"),
    )
)
_PENALTIES = frozenset(("presence_penalty", "frequency_penalty"))
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}


class LookAlike(NamedTuple):
    """What one server takes; the usual values are OpenAI's."""

    fields: frozenset[str]  # besides `model` and `messages`
    stops: int = 4
    ranges: Mapping[str, tuple[float, float]] = _RANGES
    words: Mapping[str, tuple[str, ...]] = {}
    formats: tuple[str, ...] = ("json_object", "json_schema")
    choices: tuple[str, ...] = ("auto", "none", "required")
    named_choice: bool = True
    takes_reasoning: bool = False  # back, from the first tool call on, and requires it
    takes_questions_after_results: bool = True  # without an answer between them
    takes_files: bool = False
    fetches_images: bool = True
    fetches_files: bool = False
    call_id: str = ".+"
    # Else the first message only is a system's. `OPENAI` stands for unknown servers as well.
    system_anywhere: bool = False


OPENAI = LookAlike(
    _COMMON
    | _PENALTIES
    | {
        *("max_completion_tokens", "seed", "n", "logit_bias", "logprobs", "top_logprobs"),
        *("reasoning_effort", "verbosity", "parallel_tool_calls", "service_tier", "metadata"),
        *("store", "modalities", "prediction", "web_search_options", "prompt_cache_key"),
        *("safety_identifier", "user"),
    },
    words={"reasoning_effort": ("none", "minimal", *_EFFORTS)},
    takes_files=True,
)

_QWEN = {
    *("top_k", "seed", "presence_penalty", "repetition_penalty", "parallel_tool_calls"),
    *("enable_thinking", "thinking_budget", "enable_search", "search_options"),
    "translation_options",
}

LOOK_ALIKES = {
    "deepseek": LookAlike(
        _COMMON | _PENALTIES | {"thinking", "reasoning_effort", "logprobs", "top_logprobs"},
        stops=16,
        words={"reasoning_effort": _EFFORTS},
        formats=("json_object",),
        takes_reasoning=True,
        system_anywhere=True,
    ),
    "moonshot": LookAlike(
        _COMMON | _PENALTIES | {"thinking", "reasoning_effort", "max_completion_tokens"},
        stops=5,
        choices=("auto", "none"),
        takes_reasoning=True,
        fetches_images=False,
    ),
    "zhipu": LookAlike(
        _COMMON | {"thinking", "reasoning_effort", "do_sample", "tool_stream", "user_id"},
        ranges={"temperature": (0, 1), "top_p": (0, 1)},
        formats=("json_object",),
        choices=("auto",),
        named_choice=False,
        takes_reasoning=True,
    ),
    "qwen": LookAlike(_COMMON | _QWEN, choices=("auto", "none")),
    "v2": LookAlike(  # Qianfan
        _COMMON
        | {
            *("penalty_score", "max_completion_tokens", "seed", "parallel_tool_calls", "user"),
            *("web_search", "enable_thinking"),
            "extra_parameters",  # by which its SDK names itself
        }
    ),
    "doubao": LookAlike(
        _COMMON | _PENALTIES | {"thinking", "reasoning_effort", "parallel_tool_calls"}
    ),
    "openrouter": LookAlike(
        _COMMON
        | _PENALTIES
        | {"top_k", "seed", "reasoning", "parallel_tool_calls", "provider", "transforms"},
        takes_files=True,
        fetches_files=True,
    ),
    "mistral": LookAlike(
        _COMMON
        | _PENALTIES
        | {"random_seed", "parallel_tool_calls", "reasoning_effort", "prompt_mode", "safe_prompt"},
        takes_questions_after_results=False,
        call_id="[a-zA-Z0-9]{9}",
    ),
    "vllm": LookAlike(
        _COMMON
        | _PENALTIES
        | {
            *("top_k", "min_p", "seed", "repetition_penalty", "parallel_tool_calls"),
            *("reasoning_effort", "chat_template_kwargs", "structured_outputs", "ignore_eos"),
        },
        words={"reasoning_effort": ("low", "medium", "high")},
    ),
}
