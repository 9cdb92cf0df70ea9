"""What is sent to Gemini: contents, and signatures on their parts."""

import json
import re
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
from model.prompt import Prompt, Tool, Turn, text_turn
from providers.errors import UnsupportedPart
from providers.gemini import Gemini
from tests.gemini_framing import call as call_part
from tests.gemini_framing import parts, signature_of, text, thought
from tests.providers.conversations import (
    FILES,
    TWO_IMAGES,
    WEATHER,
    assistant,
    call,
    rounds,
    user,
)
from tests.providers.gemini_steps import HELLO, HOST, NEWER, OLDER, answered, sent
from tests.providers.outcome import GEMINI

SKIPPED = "skip_thought_signature_validator"
PNG = FILES["f-png"].base64


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
        unknown = ImageBlock(url="https://example.org/a.webp?x=1")
        bare = FileBlock(url="https://www.youtube.com/watch?v=x")

        [content] = sent(user(*TWO_IMAGES.blocks, pdf, unknown, bare))["contents"]

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
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.org/a.webp?x=1"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
        ] == content["parts"]

    @pytest.mark.parametrize("media_type", ["image/gif", "image/bmp", "image/svg+xml"])
    def test_images_that_the_api_does_not_take_are_refused(self, media_type: str) -> None:
        image = ImageBlock(url="https://example.org/a", media_type=media_type)
        with pytest.raises(UnsupportedPart, match=re.escape(media_type)):
            GEMINI.check(Prompt(model=NEWER, turns=(user(image),)))

        asked = user(TextBlock("What is it?"), image)
        [first, *_] = sent(asked, text_turn(Role.ASSISTANT, "A cat."), *HELLO)["contents"]
        assert [{"text": "What is it?"}] == first["parts"]

    def test_a_question_of_which_nothing_is_sent_keeps_its_place(self) -> None:
        asked = user(ImageBlock(url="https://example.org/a", media_type="image/gif"))
        [first, *_] = sent(asked, text_turn(Role.ASSISTANT, "A cat."), *HELLO)["contents"]
        assert {"role": "user", "parts": [{"text": "[attachment]"}]} == first

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

    def test_arguments_and_results_are_sent_as_they_were_written(self) -> None:
        written = '{ "a": 1.50 }'
        turns = (
            *HELLO,
            assistant(ToolCallBlock("c", "weather", written)),
            user(ToolResultBlock("c", written)),
        )
        request = GEMINI.request(Prompt(model=OLDER, turns=turns), "key")
        assert 2 == request.body.count(written.encode())

    @pytest.mark.parametrize("name", ["1st", "-x"])
    def test_names_that_other_apis_take_begin_as_this_one_demands(self, name: str) -> None:
        turns = (
            *HELLO,
            assistant(ToolCallBlock("c", name, "{}")),
            user(ToolResultBlock("c", "ok")),
        )
        [_, calls, results] = sent(*turns)["contents"]
        assert f"_{name}" == calls["parts"][0]["functionCall"]["name"]
        assert f"_{name}" == results["parts"][0]["functionResponse"]["name"]

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
