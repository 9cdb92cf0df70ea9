"""What is read of Gemini's responses, beside the recorded samples."""

import json
from typing import Any

import pytest

from model.blocks import ProviderData, ReasoningBlock, TextBlock, ToolCallBlock
from model.messages import FinishReason
from model.usage import Usage
from providers.errors import (
    BadRequest,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    ProviderOverloaded,
    QuotaExceeded,
    RateLimited,
    Refused,
    StreamBroken,
    Unauthorized,
)
from providers.gemini_interpreter import MADE_ID_PREFIX
from providers.sink import Finish
from tests.gemini_framing import call, event, parts, text, thought, usage
from tests.providers.gemini_steps import NEWER, answered
from tests.providers.outcome import GEMINI, JSON, read

END = parts(reason="stop")


def data_of(value: dict[str, Any]) -> ProviderData:
    return ProviderData("gemini", NEWER, value)


class TestParts:
    def test_thoughts_text_and_calls_may_be_in_one_event(self) -> None:
        said = parts(thought("hm"), text("Let me see."), call("look", {"a": 1}), reason="stop")

        outcome = answered(said)

        assert ["reasoning", "text", "tool_call", "arguments"] == [
            kind for kind, *_ in outcome.growth
        ]
        assert ("hm", "Let me see.") == (outcome.reasoning_, outcome.text_)
        assert outcome.complete

    def test_parallel_calls_are_whole_and_in_order(self) -> None:
        calls = [call("look", {"a": n}) for n in range(3)]
        outcome = answered(parts(*calls[:2]), parts(calls[2]), END)

        arguments = [json.loads(each["arguments"]) for each in outcome.tool_calls]
        assert [{"a": 0}, {"a": 1}, {"a": 2}] == arguments
        assert Finish(FinishReason.TOOL_CALLS, "STOP") == outcome.mark

    def test_equal_calls_are_two(self) -> None:
        outcome = answered(parts(call("look", {}), call("look", {}), reason="stop"))

        ids = {each["id"] for each in outcome.tool_calls}
        assert (2, ["{}", "{}"]) == (len(ids), [each["arguments"] for each in outcome.tool_calls])

    def test_a_call_without_arguments_has_an_empty_object(self) -> None:
        [made] = answered(parts(call("now"), reason="stop")).tool_calls
        assert ("now", "{}") == (made["name"], made["arguments"])

    def test_text_may_follow_a_call(self) -> None:
        outcome = answered(parts(call("now")), parts(text("Done.")), END)
        assert [ToolCallBlock, TextBlock] == [type(block) for block in outcome.blocks]

    def test_ids_of_the_model_are_kept(self) -> None:
        [made] = answered(parts(call("now", id="fc-1"), reason="stop")).tool_calls
        assert "fc-1" == made["id"]

    def test_ids_that_are_made_are_the_same_for_the_same_response(self) -> None:
        first, again = (answered(parts(call("now")), END).tool_calls for _ in range(2))
        other = answered(event({"responseId": "x"}), parts(call("now")), END).tool_calls

        assert first == again == other  # the last id counts, which is that of the call's event
        assert first[0]["id"].startswith(MADE_ID_PREFIX)

    def test_ids_differ_between_responses(self) -> None:
        ids = set()
        for response_id in ("a", "b"):
            part = {"functionCall": {"name": "now"}}
            candidate = {"content": {"parts": [part]}, "finishReason": "STOP"}
            body = {"candidates": [candidate], "responseId": response_id}
            ids.add(answered(event(body)).tool_calls[0]["id"])
        assert 2 == len(ids)

    def test_images_are_left_out_and_noted(self) -> None:
        image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        body = parts(text("Here:"), image, reason="stop")

        outcome = read(GEMINI, [body])

        assert ("Here:", True, {"unread_part"}) == (outcome.text_, outcome.complete, outcome.odd)

    def test_an_answer_may_be_empty(self) -> None:
        for empty in (END, parts(text(""), reason="stop")):
            outcome = answered(empty)
            assert ("", "STOP") == (outcome.text_, outcome.finish_word)

    def test_another_candidate_is_not_the_answer(self) -> None:
        other = {"index": 1, "content": {"parts": [{"text": "other"}]}, "finishReason": "SAFETY"}
        mine = {"content": {"parts": [{"text": "mine"}]}, "finishReason": "STOP"}

        outcome = answered(event({"candidates": [mine, other]}))

        assert ("mine", "STOP") == (outcome.text_, outcome.finish_word)


class TestSignatures:
    """Each is kept with the part that it was on."""

    def test_of_a_call(self) -> None:
        outcome = answered(parts(call("now", model=NEWER), call("now")), END)

        first, second = outcome.blocks
        assert isinstance(first, ToolCallBlock)
        assert isinstance(second, ToolCallBlock)
        signature = json.loads(parts(call("now", model=NEWER))[6:])["candidates"][0]
        value = signature["content"]["parts"][0]["thoughtSignature"]
        assert data_of({"signature": value, "on": "call"}) == first.data
        assert second.data is None

    def test_of_a_thought(self) -> None:
        part = {"text": "hm", "thought": True, "thoughtSignature": "c2ln"}
        outcome = answered(parts(part), parts(text("Hi.")), END)

        data = data_of({"signature": "c2ln", "on": "thought"})
        assert (ReasoningBlock("hm", data), TextBlock("Hi.")) == outcome.blocks

    @pytest.mark.parametrize(("words", "more"), [("", {}), ("!", {"chars": 1})])
    def test_of_a_text(self, words: str, more: dict[str, int]) -> None:
        part = {"text": words, "thoughtSignature": "c2ln"}
        outcome = answered(parts(text("Hi")), parts(part, reason="stop"))

        data = data_of({"signature": "c2ln", "on": "text", **more})
        assert (TextBlock(f"Hi{words}"), ReasoningBlock("", data)) == outcome.blocks
        assert outcome.complete

    def test_belong_to_the_model_that_was_asked(self) -> None:
        outcome = answered(parts(call("now", model="other")), END, model="mine")
        [made] = outcome.blocks
        assert isinstance(made, ToolCallBlock)
        assert made.data is not None
        assert ("gemini", "mine") == (made.data.dialect, made.data.model)


class TestEnds:
    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("STOP", FinishReason.STOP),
            ("MAX_TOKENS", FinishReason.LENGTH),
            ("CONTINUATION", FinishReason.LENGTH),
            *(
                (word, FinishReason.CONTENT_FILTER)
                for word in (
                    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
                    *("LANGUAGE", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"),
                    *("IMAGE_RECITATION", "ESCALATION", "MODEL_ARMOR"),
                )
            ),
            *((word, FinishReason.STOP) for word in ("OTHER", "NO_IMAGE", "IMAGE_OTHER", "NEW")),
        ],
    )
    def test_finish_words(self, word: str, reason: FinishReason) -> None:
        outcome = answered(parts(text("a")), parts(reason=word))
        assert outcome.mark is not None
        assert (True, word, reason) == (outcome.complete, outcome.mark.word, outcome.mark.reason)

    @pytest.mark.parametrize(
        ("word", "error"),
        [
            ("MALFORMED_FUNCTION_CALL", StreamBroken),
            ("UNEXPECTED_TOOL_CALL", StreamBroken),
            ("TOO_MANY_TOOL_CALLS", StreamBroken),
            ("MALFORMED_RESPONSE", StreamBroken),
            ("MISSING_THOUGHT_SIGNATURE", BadRequest),
            ("PUP_LIMITED_DISABLED", Unauthorized),
        ],
    )
    def test_words_of_failure(self, word: str, error: type[ProviderError]) -> None:
        outcome = answered(parts(reason=word))
        assert (error, word) == (type(outcome.error), outcome.error and outcome.error.provider_code)

    def test_a_word_that_says_nothing_is_no_end(self) -> None:
        outcome = answered(parts(text("a"), reason="FINISH_REASON_UNSPECIFIED"))
        assert isinstance(outcome.error, StreamBroken)

    @pytest.mark.parametrize(
        "word",
        [
            *("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"),
            *("MODEL_ARMOR", "JAILBREAK", "NEW"),
        ],
    )
    def test_a_blocked_prompt_ends_filtered(self, word: str) -> None:
        body = {"promptFeedback": {"blockReason": word}, "usageMetadata": {"promptTokenCount": 8}}
        for content_type in (JSON, "text/event-stream"):
            raw = json.dumps(body).encode() if content_type == JSON else event(body)
            outcome = read(GEMINI, [raw], content_type=content_type)
            assert outcome.mark is not None
            assert (FinishReason.CONTENT_FILTER, word) == (outcome.mark.reason, outcome.mark.word)
            assert (True, "", [8, 0]) == (outcome.complete, outcome.text_, outcome.tokens)

    def test_feedback_that_blocks_nothing_ends_nothing(self) -> None:
        for feedback in ({}, {"blockReason": "BLOCK_REASON_UNSPECIFIED"}):
            assert not answered(event({"promptFeedback": feedback})).complete
            assert "STOP" == answered(event({"promptFeedback": feedback}), END).finish_word

    def test_usage_may_follow_the_end(self) -> None:
        outcome = answered(parts(text("a"), reason="stop"), event({"usageMetadata": usage(3, 4)}))
        assert ([3, 4], "STOP") == (outcome.tokens, outcome.finish_word)


class TestUsage:
    @pytest.mark.parametrize(
        ("counts", "counted"),
        [
            (usage(3, 4), Usage(3, 4)),
            ({"promptTokenCount": 3}, Usage(3, 0)),
            (
                {
                    **usage(30, 4),
                    "thoughtsTokenCount": 5,
                    "cachedContentTokenCount": 20,
                    "toolUsePromptTokenCount": 2,
                },
                Usage(32, 9, cached_tokens=20, reasoning_tokens=5),
            ),
            ({**usage(3, 4), "cachedContentTokenCount": 9}, Usage(3, 4)),
            ({"totalTokenCount": 3}, None),
        ],
    )
    def test_parts(self, counts: dict[str, int], counted: Usage | None) -> None:
        assert counted == answered(parts(text("a"), reason="stop", **counts)).counted

    def test_the_last_figures_count(self) -> None:
        outcome = answered(parts(text("a"), **usage(3, 9)), parts(reason="stop", **usage(3, 4)))
        assert [3, 4] == outcome.tokens


def error(code: int, status: str, message: str = "m", *details: Any) -> dict[str, Any]:
    return {"code": code, "status": status, "message": message, "details": list(details)}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
PER_MINUTE = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]}
TOO_LONG = "The input token count (2) exceeds the maximum number of tokens allowed (1)."

ERRORS = [
    (error(400, "INVALID_ARGUMENT"), BadRequest, None),
    (error(400, "INVALID_ARGUMENT", TOO_LONG), ContextTooLong, None),
    (error(400, "INVALID_ARGUMENT", "m", {"reason": "API_KEY_INVALID"}), Unauthorized, None),
    (error(400, "FAILED_PRECONDITION"), BadRequest, None),
    (error(401, "UNAUTHENTICATED"), Unauthorized, None),
    (error(402, "UNKNOWN"), QuotaExceeded, None),
    (error(403, "PERMISSION_DENIED"), Unauthorized, None),
    (error(404, "NOT_FOUND", "models/x is not found for API version v1beta"), ModelNotFound, None),
    (error(408, "UNKNOWN"), ProviderOverloaded, None),
    (error(413, "UNKNOWN"), ContextTooLong, None),
    (error(429, "RESOURCE_EXHAUSTED", "m", PER_MINUTE, RETRY), RateLimited, 1.5),
    (error(429, "RESOURCE_EXHAUSTED", "m", PER_DAY, RETRY), QuotaExceeded, None),
    (error(499, "CANCELLED"), Refused, None),
    (error(500, "INTERNAL"), ProviderOverloaded, None),
    (error(502, "UNAVAILABLE"), ProviderOverloaded, None),
    (error(503, "UNAVAILABLE"), ProviderOverloaded, None),
    (error(504, "DEADLINE_EXCEEDED"), ProviderOverloaded, None),
]


class TestErrors:
    @pytest.mark.parametrize(("said", "meant", "wait"), ERRORS)
    @pytest.mark.parametrize("shape", ["object", "list", "bare", "event", "list in an event"])
    def test_every_error_in_every_shape(
        self, said: dict[str, Any], meant: type[ProviderError], wait: float | None, shape: str
    ) -> None:
        body: Any = said if shape == "bare" else {"error": said}
        body = [body] if "list" in shape else body
        if "event" in shape:
            outcome = answered(parts(text("a")), event(body))
            assert "a" == outcome.text_
        else:
            raw = json.dumps(body, indent=2).encode()
            outcome = answered(raw, status=said["code"])

        assert outcome.error is not None
        assert (meant, wait) == (type(outcome.error), outcome.error.retry_after)
        assert str(said["code"]) == outcome.error.provider_code

    def test_an_error_with_a_status_of_success(self) -> None:
        for body in ([{"error": error(503, "UNAVAILABLE")}], {"error": error(503, "UNAVAILABLE")}):
            outcome = read(GEMINI, [json.dumps(body, indent=2).encode()], content_type=JSON)
            assert isinstance(outcome.error, ProviderOverloaded)

    def test_the_key_is_in_no_error(self) -> None:
        said = error(400, "INVALID_ARGUMENT", "API key AIza-secret not valid", {"reason": "X"})
        outcome = answered(json.dumps({"error": said}).encode(), status=400)
        assert "AIza" not in repr(vars(outcome.error)) + str(outcome.error)


def test_an_answer_may_come_as_a_list_in_one_piece() -> None:
    bodies = [{"candidates": [{"content": {"parts": [{"text": each}]}}]} for each in "ab"]
    bodies.append({"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage(1, 2)})
    raw = json.dumps(bodies, indent=2).replace("},\n", "}\n,\r\n").encode()

    outcome = read(GEMINI, [raw], content_type=JSON)

    assert ("ab", [1, 2], True) == (outcome.text_, outcome.tokens, outcome.complete)
