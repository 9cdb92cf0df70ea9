"""The vendors and servers that speak OpenAI's chat completions, each a little differently."""

from collections.abc import Mapping
from typing import Final

from presets.preset import NETWORKED, SWITCHED, USUAL, Abilities, Mark, Preset, Switches


def _compatible(
    base_url: str,
    *models: str,
    marks: tuple[Mark, Mark] = ("P", "P"),
    keys: tuple[str, ...],
    other_variables: Mapping[str, str] | None = None,
    switches: Switches = USUAL,
    key_required: bool = True,
    abilities: Abilities,
) -> Preset:
    return Preset(
        dialect="openai",
        base_url=base_url,
        models=models,
        marks=marks,
        key_variables=tuple({key: "api_key"} for key in keys),
        other_variables=other_variables or {},
        fields=frozenset((*NETWORKED, *SWITCHED)),
        switches=switches,
        key_required=key_required,
        abilities=abilities,
    )


COMPATIBLE: Final[Mapping[str, Preset]] = {
    "deepseek": _compatible(
        "https://api.deepseek.com",
        "deepseek-v4-flash",
        marks=("P", "R"),
        keys=("DEEPSEEK_API_KEY",),
        abilities=Abilities(
            image_url="no R",
            image="no R",
            tools="yes P",
            parallel_tools="yes R",
            json_object="yes P",
            json_schema="no P",
            reasoning="yes S",
            effort="yes P",
            budget="no P",
            prefix="yes P",
        ),
    ),
    # China. The international address is https://api.moonshot.ai/v1, with keys of its own.
    "moonshot": _compatible(
        "https://api.moonshot.cn/v1",
        "kimi-k2.5",
        keys=("MOONSHOT_API_KEY",),
        abilities=Abilities(
            image_url="no P",  # contents and files that were uploaded there only
            image="some P",
            tools="yes P",
            parallel_tools="yes R",
            json_object="yes P",
            reasoning="some S",
            budget="no P",
            prefix="yes P",
        ),
    ),
    # China. The international address is https://api.z.ai/api/paas/v4.
    "zhipu": _compatible(
        "https://open.bigmodel.cn/api/paas/v4",
        "glm-4.5-flash",
        marks=("S", "P"),
        keys=("ZHIPUAI_API_KEY", "ZHIPU_API_KEY"),
        other_variables={"ZHIPUAI_BASE_URL": "base_url"},
        abilities=Abilities(
            image_url="some P",
            image="some P",
            tools="yes S",
            json_object="yes P",
            json_schema="no P",
            reasoning="yes S",
            budget="no P",
        ),
    ),
    # China. The international address is https://api.minimax.io/v1.
    "minimax": _compatible(
        "https://api.minimaxi.com/v1",
        "MiniMax-M2.5",
        keys=("MINIMAX_API_KEY",),
        abilities=Abilities(tools="yes P", reasoning="yes P", budget="no P"),
    ),
    # Volcengine Ark. A model is its name with a date, or the id of an endpoint (`ep-…`).
    "doubao": _compatible(
        "https://ark.cn-beijing.volces.com/api/v3",
        "doubao-seed-1-6-flash-250828",
        marks=("P", "R"),
        keys=("ARK_API_KEY", "VOLCENGINE_API_KEY"),
        abilities=Abilities(
            image_url="some P",
            image="some P",
            tools="some P",
            parallel_tools="some P",
            json_object="some P",
            json_schema="some P",
            reasoning="some P",
            effort="some P",
            budget="no P",
            prefix="some R",
        ),
    ),
    "hunyuan": _compatible(
        "https://api.hunyuan.cloud.tencent.com/v1",
        "hunyuan-turbos-latest",
        keys=("HUNYUAN_API_KEY",),
        abilities=Abilities(
            image_url="some R", image="some R", tools="some P", reasoning="some R", budget="no R"
        ),
    ),
    # China. The international address is https://api.siliconflow.com/v1.
    "siliconflow": _compatible(
        "https://api.siliconflow.cn/v1",
        "deepseek-ai/DeepSeek-V4-Flash",
        keys=("SILICONFLOW_API_KEY",),
        abilities=Abilities(
            image_url="some P",
            image="some P",
            tools="some P",
            json_object="some P",
            reasoning="some P",
            effort="some P",
            budget="some P",
        ),
    ),
    "openrouter": _compatible(
        "https://openrouter.ai/api/v1",
        "openai/gpt-4o-mini",
        keys=("OPENROUTER_API_KEY",),
        abilities=Abilities(
            image_url="some P",
            image="some P",
            file_url="some P",
            file="some P",
            tools="some P",
            parallel_tools="some P",
            json_object="some P",
            json_schema="some P",
            reasoning="some P",
            effort="some P",
            budget="some P",
            prefix="some P",
        ),
    ),
    "groq": _compatible(
        "https://api.groq.com/openai/v1",
        "llama-3.1-8b-instant",
        marks=("P", "R"),
        keys=("GROQ_API_KEY",),
        abilities=Abilities(
            image_url="some P",
            image="some P",
            tools="yes P",
            parallel_tools="some P",
            json_object="yes P",
            json_schema="some P",
            reasoning="some P",
            effort="some P",
            budget="no P",
            prefix="some R",
        ),
    ),
    # It refuses every field that it does not know, and sends usage without being asked.
    "mistral": _compatible(
        "https://api.mistral.ai/v1",
        "mistral-small-latest",
        keys=("MISTRAL_API_KEY",),
        switches=Switches(stream_options=False),
        abilities=Abilities(
            image_url="some P",
            image="some P",
            tools="yes P",
            parallel_tools="yes P",
            json_object="yes P",
            json_schema="yes P",
            reasoning="some P",
            budget="no P",
            prefix="yes P",
        ),
    ),
    "xai": _compatible(
        "https://api.x.ai/v1",
        "grok-4.3",
        marks=("P", "R"),
        keys=("XAI_API_KEY",),
        abilities=Abilities(
            image_url="some P",
            image="some P",
            tools="yes P",
            parallel_tools="yes P",
            json_object="yes P",
            json_schema="yes P",
            reasoning="some R",
            effort="some R",
            budget="no R",
        ),
    ),
    "together": _compatible(
        "https://api.together.xyz/v1",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        marks=("P", "R"),
        keys=("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        other_variables={"TOGETHER_BASE_URL": "base_url"},
        abilities=Abilities(
            image_url="some P",
            image="some P",
            tools="some P",
            parallel_tools="some R",
            json_object="some P",
            json_schema="some P",
            reasoning="some R",
            effort="some P",
            budget="no P",
        ),
    ),
    # One's own server. It knows its models by the names that it was started with
    # (`--served-model-name default`).
    "vllm": _compatible(
        "http://127.0.0.1:8000/v1",
        "default",
        marks=("S", "O"),
        keys=("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"),
        key_required=False,
        abilities=Abilities(
            image_url="some S",
            image="some S",
            tools="some S",
            parallel_tools="some S",
            json_object="yes S",
            json_schema="yes S",
            reasoning="some S",
            effort="some R",
            prefix="some S",
        ),
    ),
    # One's own server, which answers with the model that it has loaded whatever name is asked for.
    "llamacpp": _compatible(
        "http://127.0.0.1:8080/v1",
        "default",
        marks=("S", "O"),
        keys=("LLAMA_API_KEY",),
        key_required=False,
        abilities=Abilities(
            image_url="some R",
            image="some S",
            tools="some S",
            parallel_tools="some S",
            json_object="yes S",
            json_schema="yes S",
            reasoning="some S",
            prefix="some S",
        ),
    ),
}
