"""What Gemini's API refuses, as strictly as it does, or more so.

Written after the types of its SDK and its reference, and not after our own requests, so that the
two do not share an error. `refusal` is the response to a request that the API would not take; it
comes as a list of one error, as the API sends it for streams.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.gemini_framing import signature_of
from tests.strict_api import Refused, need, need_fields

Json = dict[str, Any]

_PATH = re.compile(r"/v1beta/(models|tunedModels)/([^/:]+):streamGenerateContent")
_NAME = re.compile(r"[a-zA-Z_][\w.:-]{0,127}", re.ASCII)
_SKIPPED = "skip_thought_signature_validator"
_DATA = {"text", "inlineData", "fileData", "functionCall", "functionResponse"}
_TOP = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig"} | {
    *("safetySettings", "cachedContent", "labels", "serviceTier", "store"),
}
_CONFIG = {
    *("temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences"),
    *("presencePenalty", "frequencyPenalty", "seed", "responseMimeType", "responseSchema"),
    *("responseJsonSchema", "thinkingConfig", "responseModalities", "mediaResolution"),
    *("responseLogprobs", "logprobs", "speechConfig", "imageConfig"),
}
_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "topK": (1, 1000),
    "candidateCount": (1, 1),
    "maxOutputTokens": (1, 2**31 - 1),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "seed": (-(2**31), 2**31 - 1),
}
# Of OpenAPI's schema; everything else of JSON Schema is an unknown field.
_SCHEMA = {
    *("type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems"),
    *("properties", "required", "minProperties", "maxProperties", "minLength", "maxLength"),
    *("pattern", "example", "anyOf", "propertyOrdering", "default", "items", "minimum", "maximum"),
}


def refusal(target: str, headers: Mapping[str, str], data: bytes) -> tuple[int, Any] | None:
    """The status and the body of the error for a request; None if the API takes it."""
    parts = urlsplit(target)
    path, query = _PATH.fullmatch(parts.path), parse_qs(parts.query)
    if path is None:
        return 404, [_error(404, "NOT_FOUND", "not found")]
    key = headers.get("x-goog-api-key")
    if not key or "key" in query or headers.get("Authorization"):
        return 403, [_error(403, "PERMISSION_DENIED", "one key is needed, in its header")]
    if key == "wrong":
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        return 400, [_error(400, "INVALID_ARGUMENT", "API key not valid.", info)]
    try:
        need(query == {"alt": ["sse"]}, f"query: {query}")
        need(headers.get("Content-Type", "").startswith("application/json"), "content-type")
        _check(canonical(json.loads(data)), unquote(path[2]))
    except (Refused, ValueError) as error:
        return 400, [_error(400, "INVALID_ARGUMENT", str(error))]
    return None


def _error(code: int, status: str, message: str, *details: Json) -> Json:
    error = {"code": code, "message": message, "status": status}
    return {"error": error | ({"details": list(details)} if details else {})}


def canonical(value: Any, name: str = "") -> Any:
    """`value` with its names as the reference spells them: the API takes underscores, too."""
    if isinstance(value, list):
        return [canonical(each, name) for each in value]
    opaque = ("args", "response", "labels", "parameters", "properties")
    if not isinstance(value, dict) or name in opaque or name.endswith("Schema"):
        return value
    camel = {re.sub("_([a-z])", lambda found: found[1].upper(), each): each for each in value}
    need(len(camel) == len(value), f"{name}: a field twice")
    return {each: canonical(value[written], each) for each, written in camel.items()}


def _check(body: Any, model: str) -> None:
    need_fields(body, {"contents"}, _TOP, "body")
    need(isinstance(body["contents"], list) and body["contents"], "contents is not specified")
    for content in body["contents"]:
        _check_content(content)
    need(body["contents"][-1]["role"] == "user", "the last content is the user's")
    _check_calls(body["contents"])
    _check_signatures(body["contents"], model)
    if "systemInstruction" in body:
        need_fields(body["systemInstruction"], {"parts"}, {"role"}, "system_instruction")
        for part in body["systemInstruction"]["parts"]:
            need_fields(part, {"text"}, set(), "system_instruction.parts")
    _check_config(body.get("generationConfig", {}), model)
    names = [name for tool in body.get("tools", []) for name in _names_in(tool)]
    need(len(set(names)) == len(names), "Duplicate function declaration found")
    _check_tool_config(body.get("toolConfig"), names)
    for setting in body.get("safetySettings", []):
        need_fields(setting, {"category", "threshold"}, set(), "safety_settings")


def _check_content(content: Any) -> None:
    need_fields(content, {"role", "parts"}, set(), "contents")
    need(content["role"] in ("user", "model"), "Please use a valid role: user, model.")
    need(isinstance(content["parts"], list) and content["parts"], "contents.parts is empty")
    for part in content["parts"]:
        need_fields(
            part, set(), {*_DATA, "thought", "thoughtSignature", "mediaResolution"}, "parts"
        )
        need(len(part.keys() & _DATA) == 1, "parts: required oneof field 'data' must have one")
        is_model = content["role"] == "model"
        for name in ("thought", "thoughtSignature", "functionCall"):
            need(is_model or name not in part, f"{name} is the model's")
        need(not (is_model and "functionResponse" in part), "functionResponse is the user's")
        _check_data(part)


def _check_data(part: Json) -> None:
    if "text" in part:
        need(isinstance(part["text"], str), "text")
        need(part["text"] or "thoughtSignature" in part, "text is empty")
    if (inline := part.get("inlineData")) is not None:
        need_fields(inline, {"mimeType", "data"}, set(), "inline_data")
        need(_bytes(inline["data"]), "inline_data.data")
        need(re.fullmatch(r"[\w.+-]+/[\w.+-]+", inline["mimeType"]), "inline_data.mime_type")
    if (file := part.get("fileData")) is not None:
        need_fields(file, {"fileUri"}, {"mimeType"}, "file_data")
        need(file["fileUri"].startswith("https://"), "file_data.file_uri")
    if (call := part.get("functionCall")) is not None:
        need_fields(call, {"name"}, {"args", "id"}, "function_call")
        need(_NAME.fullmatch(call["name"]) and isinstance(call.get("args", {}), dict), "call")
    if (result := part.get("functionResponse")) is not None:
        need_fields(result, {"name", "response"}, {"id"}, "function_response")
        need(isinstance(result["response"], dict), "function_response.response: a Struct")


def _bytes(text: Any) -> bytes:
    """Bytes in either alphabet, as the API takes them."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def _check_calls(contents: list[Json]) -> None:
    """Calls are answered in the next content, which has their results and nothing else."""
    open_calls: list[Json] = []
    for content in contents:
        results = [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]
        need(len(results) in (0, len(content["parts"])), "results stand alone")
        need(
            len(results) == len(open_calls),
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn.",
        )
        for call, result in zip(open_calls, results, strict=True):
            need(call["name"] == result["name"], "function_response.name")
            need(call.get("id") == result.get("id"), "function_response.id")
        open_calls = [p["functionCall"] for p in content["parts"] if "functionCall" in p]
    need(contents[0]["role"] == "user", "a function call comes after the user's turn")


def _check_signatures(contents: list[Json], model: str) -> None:
    is_current = True
    for content in reversed(contents):
        if content["role"] == "user":
            is_current = is_current and "functionResponse" in content["parts"][0]
            continue
        calls = [part for part in content["parts"] if "functionCall" in part]
        for part in content["parts"]:
            signature = part.get("thoughtSignature")
            if signature == _SKIPPED:
                need(is_current and part in calls[:1], "nothing is skipped without need")
            elif signature is not None:
                known = signature_of(model, part)
                need(_bytes(signature) == _bytes(known), "Corrupted thought signature.")
        is_checked = is_current and calls and not re.match("gemini-[12]", model)
        need(
            not is_checked or "thoughtSignature" in calls[0],
            "Function call is missing a thought_signature in functionCall parts.",
        )


def _check_config(config: Any, model: str) -> None:
    need_fields(config, set(), _CONFIG, "generation_config")
    for name, (least, most) in _RANGES.items():
        value = config.get(name, least)
        need(type(value) in (int, float) and least <= value <= most, f"{name}: {value}")
    stops = config.get("stopSequences", [])
    need(len(stops) <= 5 and all(stops), "stop_sequences")
    schemas = config.keys() & {"responseSchema", "responseJsonSchema"}
    need(len(schemas) < 2, "response_schema and response_json_schema")
    is_json = config.get("responseMimeType") == "application/json"
    need(is_json or not (schemas or "responseMimeType" in config), "response_mime_type")
    thinking = config.get("thinkingConfig", {})
    levels = {"includeThoughts", "thinkingBudget", "thinkingLevel"}
    need_fields(thinking, set(), levels, "thinking_config")
    need(not thinking or not re.match(r"gemini-(1|2\.0)", model), "thinking is not supported")
    need(thinking.get("thinkingBudget", 0) >= -1, "thinking_budget")
    level = thinking.get("thinkingLevel", "LOW")
    need(level in ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"), "thinking_level")
    if "thinkingLevel" in thinking:
        need(not re.match("gemini-2", model), "Thinking level is not supported for this model.")
        need("thinkingBudget" not in thinking, "You can only set one of budget and level.")


def _names_in(tool: Any) -> list[str]:
    need_fields(tool, set(), {"functionDeclarations", "googleSearch", "urlContext"}, "tools")
    declared = tool.get("functionDeclarations", [])
    for function in declared:
        schemas = {"parameters", "parametersJsonSchema"}
        need_fields(function, {"name"}, {"description", *schemas}, "function_declarations")
        need(_NAME.fullmatch(function["name"]), "Invalid function name.")
        need(len(function.keys() & schemas) < 2, "parameters and parameters_json_schema")
        _check_schema(function.get("parameters", {}))
        schema = function.get("parametersJsonSchema", {"type": "object"})
        need(schema.get("type") == "object", "parameters_json_schema: should be an object's")
    return [function["name"] for function in declared]


def _check_schema(schema: Any) -> None:
    need_fields(schema, set(), _SCHEMA, "parameters")
    for inner in schema.get("properties", {}).values():
        _check_schema(inner)


def _check_tool_config(config: Any, names: list[str]) -> None:
    if config is None:
        return
    need_fields(config, {"functionCallingConfig"}, set(), "tool_config")
    need(names, "Function calling config is set without function_declarations.")
    calling = config["functionCallingConfig"]
    need_fields(calling, {"mode"}, {"allowedFunctionNames"}, "function_calling_config")
    need(calling["mode"] in ("AUTO", "ANY", "NONE", "VALIDATED"), "mode")
    allowed = calling.get("allowedFunctionNames", [])
    need(not allowed or calling["mode"] == "ANY", "Allowed names should be set only with ANY.")
    need(set(allowed) <= set(names), "allowed_function_names")
