"""What is sent to Gemini: contents, signatures on their parts, and options."""

import json
from typing import Any

import pytest

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import NamedTool, Prompt, ResponseFormat, Tool, Turn, text_turn
from providers.gemini import Gemini
from tests.gemini_framing import call as call_part
from tests.gemini_framing import parts, signature_of, text, thought
from tests.providers.conversations import (
    ANSWER,
    CITY,
    CLOCK,
    FILES,
    TWO_IMAGES,
    WEATHER,
    assistant,
    call,
    rounds,
    user,
)
from tests.providers.gemini_steps import HELLO, HOST, NEWER, OLDER, answered, refused, sent
from tests.providers.outcome import GEMINI

SKIPPED = "skip_thought_signature_validator"
PNG = FILES["f-png"].base64


def config(**options: Any) -> dict[str, Any]:
    """The generation config of a request."""
    found: dict[str, Any] = sent(**options).get("generationConfig", {})
    return found


class TestUrl:
    @pytest.mark.parametrize(
        ("model", "path"),
        [
            ("gemini-x", "models/gemini-x"),
            ("models/gemini-x", "models/gemini-x"),
            ("tunedModels/mine", "tunedModels/mine"),
            ("mine/gemini-x", "models/mine%2Fgemini-x"),
            ("../../x?key=1#:y", "models/..%2F..%2Fx%3Fkey%3D1%23%3Ay"),
        ],
    )
    def test_the_model_is_a_part_of_the_path(self, model: str, path: str) -> None:
        request = GEMINI.request(Prompt(model=model, turns=HELLO), "key")
        assert f"{HOST}/v1beta/{path}:streamGenerateContent?alt=sse" == request.url

    def test_the_key_is_in_a_header_only(self) -> None:
        request = GEMINI.request(Prompt(model="m", turns=HELLO), "AIza-example")
        assert "AIza-example" == request.headers["x-goog-api-key"]
        assert "AIza" not in request.url + request.body.decode()
        assert "x-goog-api-key" not in GEMINI.request(Prompt(model="m", turns=HELLO), None).headers

    def test_the_base_url_is_all_before_the_models(self) -> None:
        request = Gemini("http://localhost/v1/publishers/google/").request(
            Prompt(model="m", turns=HELLO), None
        )
        assert request.url.startswith("http://localhost/v1/publishers/google/models/m:")


class TestContents:
    def test_turns_have_roles_of_their_own(self) -> None:
        body = sent(*HELLO, text_turn(Role.ASSISTANT, "Hello."), *HELLO, system="Be short.")

        assert ["user", "model", "user"] == [each["role"] for each in body["contents"]]
        assert {"parts": [{"text": "Be short."}]} == body["systemInstruction"]
        assert [{"text": "Hello."}] == body["contents"][1]["parts"]

    def test_images_and_files_are_data_or_addresses(self) -> None:
        pdf = FileBlock(file_id="f-pdf", media_type="application/pdf", name="report.pdf")
        inline = ImageBlock(url=f"data:image/png;base64,{PNG}")
        unknown = ImageBlock(url="https://example.org/a.webp?x=1")
        bare = FileBlock(url="https://www.youtube.com/watch?v=x")

        [content] = sent(user(*TWO_IMAGES.blocks, pdf, inline, unknown, bare))["contents"]

        data = {"inlineData": {"mimeType": "image/png", "data": PNG}}
        uri = "https://example.org/cat.png"
        assert [
            {"text": "Which is older?"},
            {"fileData": {"mimeType": "image/png", "fileUri": uri}},
            data,
            {
                "inlineData": {
                    "mimeType": "application/pdf",
                    "data": FILES["f-pdf"].base64,
                }
            },
            data,
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.org/a.webp?x=1"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
        ] == content["parts"]

    @pytest.mark.parametrize("media_type", ["image/gif", "image/bmp", "image/svg+xml"])
    def test_images_that_the_api_does_not_take_are_refused(self, media_type: str) -> None:
        image = ImageBlock(url="https://example.org/a", media_type=media_type)
        assert media_type == refused(user(image))

        asked = user(TextBlock("What is it?"), image)
        [first, *_] = sent(asked, text_turn(Role.ASSISTANT, "A cat."), *HELLO)["contents"]
        assert [{"text": "What is it?"}] == first["parts"]

    def test_reasoning_of_others_stays_here(self) -> None:
        others = ProviderData("anthropic", NEWER, {"signature": "x", "on": "thought"})
        turn = assistant(
            ReasoningBlock("unsigned"), ReasoningBlock("theirs", others), TextBlock("Hello.")
        )
        [_, content, _] = sent(*HELLO, turn, *HELLO)["contents"]
        assert [{"text": "Hello."}] == content["parts"]


class TestCalls:
    def test_three_rounds_of_parallel_calls(self) -> None:
        contents = sent(*rounds(3), tools=(WEATHER,))["contents"]

        assert ["user", *["model", "user"] * 3] == [each["role"] for each in contents]
        [_, first, second] = contents[1]["parts"]
        city = {"id": "call_0_a", "name": "weather", "args": {"city": "Paris"}}
        assert {"functionCall": city, "thoughtSignature": SKIPPED} == first
        assert "thoughtSignature" not in second
        results = [part["functionResponse"] for part in contents[2]["parts"]]
        assert [
            {"id": "call_0_a", "name": "weather", "response": {"output": "20 °C"}},
            {"id": "call_0_b", "name": "weather", "response": {"error": "no such city"}},
        ] == results

    def test_results_are_in_the_order_of_the_calls_and_stand_alone(self) -> None:
        turns = (
            *HELLO,
            assistant(call("gemini_call_1", "Paris"), call("gemini_call_2", "Oslo")),
            user(
                TextBlock("Well?"),
                ToolResultBlock("gemini_call_2", "2"),
                ToolResultBlock("gemini_call_1", '{"t": 1}'),
            ),
        )

        [_, calls, results, question] = sent(*turns)["contents"]

        assert all("id" not in part["functionCall"] for part in calls["parts"])
        assert [
            {"functionResponse": {"name": "weather", "response": {"t": 1}}},
            {"functionResponse": {"name": "weather", "response": {"output": "2"}}},
        ] == results["parts"]
        assert [{"text": "Well?"}] == question["parts"]

    def test_calls_that_were_never_answered_are_left_out(self) -> None:
        turns = (*HELLO, assistant(TextBlock("wait"), call("1", "Paris")), *HELLO)
        [_, content, _] = sent(*turns)["contents"]
        assert [{"text": "wait"}] == content["parts"]

    @pytest.mark.parametrize("result", ["[1]", "nan", '{"a": 1', "1", "", "[" * 5000, "null"])
    def test_results_that_are_no_object_are_sent_as_text(self, result: str) -> None:
        turns = (*HELLO, assistant(call("1", "Paris")), user(ToolResultBlock("1", result)))
        [_, _, content] = sent(*turns)["contents"]
        assert {"output": result} == content["parts"][0]["functionResponse"]["response"]

    def test_arguments_that_were_cut_off_are_an_empty_object(self) -> None:
        cut_off = ToolCallBlock("1", "weather", '{"city": "Par')
        turns = (*HELLO, assistant(cut_off), user(ToolResultBlock("1", "20")))
        [_, content, _] = sent(*turns)["contents"]
        assert {} == content["parts"][0]["functionCall"]["args"]

    def test_only_calls_of_the_current_turn_need_a_signature(self) -> None:
        done = (*rounds(1), text_turn(Role.ASSISTANT, "Paris."))
        contents = sent(*done, *rounds(1))["contents"]
        signed = [
            number
            for number, content in enumerate(contents)
            if any("thoughtSignature" in part for part in content["parts"])
        ]
        assert [5] == signed

    def test_older_models_get_no_placeholder(self) -> None:
        assert SKIPPED not in json.dumps(sent(*rounds(2), model=OLDER))


def replayed(*events: bytes, model: str = NEWER, other: str | None = None) -> list[dict[str, Any]]:
    """The parts that are sent of an answer which was read from `events`."""
    blocks: tuple[Block, ...] = answered(*events, model=model).blocks
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    results = [ToolResultBlock(made.id, "ok") for made in calls]
    following = user(*results) if results else HELLO[0]
    [_, content, _] = sent(*HELLO, Turn(Role.ASSISTANT, blocks), following, model=other or model)[
        "contents"
    ]
    sent_parts: list[dict[str, Any]] = content["parts"]
    return sent_parts


class TestSignatures:
    """The strict API takes a signature only from the model that is asked, on the part it signed."""

    @pytest.mark.parametrize(
        "said",
        [
            (call_part("now", {"a": [1, 2.5, "ü"]}, model=NEWER), call_part("now", {"b": {}})),
            (thought("hm", model=NEWER), text("Hi.")),
            (thought("hm", model=NEWER), call_part("now", {}, model=NEWER)),
            (text("Hi."), text("", model=NEWER)),
            (text("Hi."), text(" there 🐻", model=NEWER)),
            (text("Hi there", model=NEWER), text(" and on")),
            (text("a", model=NEWER), text("b", model=NEWER), text("c")),
            (text("I look."), call_part("now", {}, model=NEWER), text("", model=NEWER)),
            (call_part("now", {}, model=NEWER, id="fc-1"), call_part("now", {}, id="fc-2")),
        ],
    )
    def test_parts_go_back_as_they_came(self, said: tuple[dict[str, Any], ...]) -> None:
        for events in ([parts(*said, reason="stop")], [*map(parts, said), parts(reason="stop")]):
            assert list(said) == replayed(*events)

    def test_text_that_came_in_pieces_is_joined_up_to_the_signed_one(self) -> None:
        said = (text("Hel"), text("lo"), text("!", model=NEWER))
        assert [text("Hello"), said[2]] == replayed(*map(parts, said), parts(reason="stop"))

    def test_a_signature_after_thoughts_that_are_not_signed(self) -> None:
        said = (text("Hi."), thought("hm"), text("", model=NEWER))
        assert [said[0], said[2]] == replayed(*map(parts, said), parts(reason="stop"))

    @pytest.mark.parametrize("model", ["gemini-3.5-pro", "models/" + NEWER])
    def test_another_model_gets_none(self, model: str) -> None:
        said = (thought("hm", model=NEWER), text("I look."), call_part("now", {}, model=NEWER))
        placeholder = {**call_part("now", {}), "thoughtSignature": SKIPPED}
        assert [said[1], placeholder] == replayed(
            *map(parts, said), parts(reason="stop"), other=model
        )

    def test_three_rounds_keep_their_signatures(self) -> None:
        turns: list[Turn] = [*HELLO]
        for number in range(3):
            said = (
                thought(f"hm {number}", model=NEWER),
                call_part("now", {"n": number}, model=NEWER),
                call_part("now", {"n": -number}),
            )
            blocks = answered(parts(*said), parts(reason="stop")).blocks
            calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
            turns.append(Turn(Role.ASSISTANT, blocks))
            turns.append(user(*(ToolResultBlock(made.id, "ok") for made in calls)))

        contents = sent(*turns, tools=(Tool("now"),))["contents"]

        signatures = [
            part["thoughtSignature"]
            for content in contents
            for part in content["parts"]
            if "thoughtSignature" in part
        ]
        assert 6 == len(signatures)
        assert signature_of(NEWER, call_part("now", {"n": 2})) == signatures[-1]

    @pytest.mark.parametrize("value", [None, 1, "x", [], {"signature": 1}, {"on": "text"}])
    def test_data_that_cannot_be_read_is_not_sent(self, value: Any) -> None:
        block = ReasoningBlock("hm", ProviderData("gemini", NEWER, value))
        [_, content, _] = sent(*HELLO, assistant(block, TextBlock("Hi.")), *HELLO)["contents"]
        assert [{"text": "Hi."}] == content["parts"]


class TestOptions:
    def test_sampling(self) -> None:
        assert {
            "temperature": 0.5,
            "topP": 0.25,
            "topK": 3,
            "maxOutputTokens": 9,
            "stopSequences": ["a", "b"],
            "seed": 4,
            "presencePenalty": 0.0,
            "frequencyPenalty": -1.0,
        } == config(
            temperature=0.5,
            top_p=0.25,
            top_k=3,
            max_tokens=9,
            stop=("a", "b"),
            seed=4,
            presence_penalty=0.0,
            frequency_penalty=-1.0,
        )

    def test_what_is_not_asked_is_not_sent(self) -> None:
        assert {"contents"} == sent().keys()

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"stop": tuple("abcdef")}, "stop"),
            ({"seed": 2**31}, "seed"),
            ({"parallel_tool_calls": False}, "parallel_tool_calls"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"tool_choice": NamedTool("now")}, "tool_choice"),
            ({"reasoning_effort": "low", "reasoning_budget": 9}, "reasoning_budget"),
        ],
    )
    def test_what_cannot_be_said_is_refused(self, options: dict[str, Any], name: str) -> None:
        assert name == refused(**options)

    def test_json_with_and_without_a_schema(self) -> None:
        assert {"responseMimeType": "application/json"} == config(response_format=ResponseFormat())
        assert {
            "responseMimeType": "application/json",
            "responseJsonSchema": CITY,
        } == config(response_format=ANSWER)

    @pytest.mark.parametrize(
        ("model", "options", "thinking"),
        [
            (NEWER, {"reasoning_effort": "minimal"}, {"thinkingLevel": "MINIMAL"}),
            (NEWER, {"reasoning_effort": "high"}, {"thinkingLevel": "HIGH"}),
            (NEWER, {"reasoning_budget": 99}, {"thinkingBudget": 99}),
            (OLDER, {"reasoning_effort": "low"}, {"thinkingBudget": 1024}),
            (OLDER, {"reasoning_effort": "high"}, {"thinkingBudget": 24576}),
            (OLDER, {"reasoning_effort": "low", "reasoning_budget": 99}, {"thinkingBudget": 99}),
            (f"models/{OLDER}", {"reasoning_effort": "medium"}, {"thinkingBudget": 8192}),
        ],
    )
    def test_thinking(self, model: str, options: dict[str, Any], thinking: dict[str, Any]) -> None:
        found = config(model=model, **options)["thinkingConfig"]
        assert {**thinking, "includeThoughts": True} == found

    @pytest.mark.parametrize("options", [{"reasoning_effort": "none"}, {"reasoning_budget": 0}])
    @pytest.mark.parametrize("model", [OLDER, NEWER])
    @pytest.mark.parametrize("include", [True, False])
    def test_no_thinking(self, options: dict[str, Any], model: str, include: bool) -> None:
        dialect = Gemini(f"{HOST}/v1beta", include_thoughts=include)
        found = config(dialect=dialect, model=model, **options)
        assert {"thinkingConfig": {"thinkingBudget": 0}} == found

    def test_thoughts_may_always_be_asked_for(self) -> None:
        dialect = Gemini(f"{HOST}/v1beta", include_thoughts=True)
        thinking = {"includeThoughts": True}
        assert {"thinkingConfig": thinking} == config(dialect=dialect)
        assert {"temperature": 1, "thinkingConfig": thinking} == config(
            dialect=dialect, temperature=1
        )

    def test_tools_are_declared_with_their_schemas(self) -> None:
        assert [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "Tells the weather.",
                        "parametersJsonSchema": CITY,
                    },
                    {"name": "clock"},
                ]
            }
        ] == sent(tools=(WEATHER, CLOCK))["tools"]

    @pytest.mark.parametrize(
        ("choice", "strict", "calling"),
        [
            (None, False, None),
            ("auto", False, None),
            ("none", False, {"mode": "NONE"}),
            ("required", False, {"mode": "ANY"}),
            (NamedTool("now"), False, {"mode": "ANY", "allowedFunctionNames": ["now"]}),
            (None, True, {"mode": "VALIDATED"}),
            ("auto", True, {"mode": "VALIDATED"}),
            ("none", True, {"mode": "NONE"}),
            ("required", True, {"mode": "ANY"}),
        ],
    )
    def test_the_choice_of_a_tool(self, choice: Any, strict: bool, calling: Any) -> None:
        tools = (WEATHER, Tool("now", strict=strict))
        body = sent(tools=tools, tool_choice=choice, parallel_tool_calls=True)
        assert calling == body.get("toolConfig", {}).get("functionCallingConfig")

    @pytest.mark.parametrize("choice", ["auto", "none"])
    def test_no_choice_is_sent_without_tools(self, choice: str) -> None:
        assert {"contents"} == sent(tool_choice=choice).keys()


class TestExtra:
    def test_further_fields_are_merged(self) -> None:
        extra = {
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "labels": {"team_a": "x"},
            "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        }
        body = sent(extra=extra, temperature=1)
        assert {"temperature": 1, "mediaResolution": "MEDIA_RESOLUTION_LOW"} == body.pop(
            "generationConfig"
        )
        assert (extra["safetySettings"], extra["labels"]) == (
            body["safetySettings"],
            body["labels"],
        )

    def test_thoughts_may_be_left_out(self) -> None:
        extra = {"generationConfig": {"thinkingConfig": {"includeThoughts": False}}}
        thinking = config(extra=extra, reasoning_effort="low")["thinkingConfig"]
        assert {"thinkingLevel": "LOW", "includeThoughts": False} == thinking

    @pytest.mark.parametrize(
        "extra",
        [
            *({name: 1} for name in ("contents", "systemInstruction", "model", "tools")),
            *({name: {}} for name in ("system_instruction", "generation_config", "tool_config")),
            {"safety_settings": []},
            {"generationConfig": {"maxOutputTokens": 1}},
            {"generationConfig": {"max_output_tokens": 1}},
            {"generationConfig": {"thinkingConfig": {"thinking_budget": 1}}},
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            {"toolConfig": {"function_calling_config": {}}},
        ],
    )
    def test_our_fields_are_ours_in_either_spelling(self, extra: dict[str, Any]) -> None:
        path = "extra"
        inner: Any = extra
        name = refused(extra=extra)
        while isinstance(inner, dict) and inner and path != name:
            [(key, inner)] = inner.items()
            path += f".{key}"
        assert path == name
