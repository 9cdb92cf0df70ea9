"""What each dialect sends for a prompt. That it is what the SDKs send, `test_sdks.py` shows."""

import json
from typing import Any

import pytest

from model.messages import Role
from model.prompt import Prompt, merged, text_turn
from providers.dashscope import DashScope
from providers.dialect import AccessToken, Dialect
from providers.errors import BadResponse, ProviderOverloaded, Unauthorized, UnsupportedOption
from providers.openai import OpenAI
from tests.providers.outcome import DASHSCOPE, OPENAI, QIANFAN, QIANFAN_V1, SAMPLES

HELLO = (text_turn(Role.USER, "hi"),)
ANY = Prompt(model="m", turns=HELLO)


def body(dialect: Dialect, **prompt: Any) -> dict[str, Any]:
    fields = {"model": "m", "turns": HELLO, **prompt}
    sent: dict[str, Any] = json.loads(dialect.request(Prompt(**fields), "token").body)
    return sent


@pytest.mark.parametrize("dialect", [OPENAI, DASHSCOPE, QIANFAN, QIANFAN_V1])
def test_knobs_that_are_not_set_are_not_sent(dialect: Dialect) -> None:
    sent = json.dumps(body(dialect))
    for knob in ("temperature", "top_p", "max", "stop", "system"):
        assert knob not in sent


@pytest.mark.parametrize("dialect", [OPENAI, DASHSCOPE, QIANFAN])
def test_without_a_key_no_authorization_is_sent(dialect: Dialect) -> None:
    assert "Authorization" not in dialect.request(ANY, None).headers


@pytest.mark.parametrize("dialect", [OPENAI, DASHSCOPE, QIANFAN, QIANFAN_V1])
def test_nobody_can_change_the_headers_of_the_next_request(dialect: Dialect) -> None:
    dialect.request(ANY, None).headers.clear()
    assert dialect.request(ANY, None).headers


def test_turns_of_one_role_in_a_row_are_one() -> None:
    roles = [Role.USER, Role.USER, Role.ASSISTANT, Role.ASSISTANT, Role.USER]
    words = "one two three four five".split()
    turns = merged(text_turn(role, text) for role, text in zip(roles, words, strict=True))

    assert [
        (Role.USER, "one\n\ntwo"),
        (Role.ASSISTANT, "three\n\nfour"),
        (Role.USER, "five"),
    ] == [(turn.role, turn.text) for turn in turns]


class TestOpenAI:
    @pytest.mark.parametrize("base_url", ["https://api.deepseek.com", "https://api.deepseek.com/"])
    def test_the_base_url_is_all_before_chat_completions(self, base_url: str) -> None:
        request = OpenAI(base_url).request(ANY, None)
        assert "https://api.deepseek.com/chat/completions" == request.url

    @pytest.mark.parametrize(
        ("base_url", "name"),
        [
            ("https://api.openai.com/v1", "max_completion_tokens"),
            ("https://eu.api.openai.com/v1", "max_completion_tokens"),
            ("https://mine.openai.azure.com/openai/v1/", "max_completion_tokens"),
            ("https://api.deepseek.com", "max_tokens"),
            ("https://notapi.openai.com.example.org/v1", "max_tokens"),
            ("http://127.0.0.1:8000/v1", "max_tokens"),
        ],
    )
    def test_the_token_limit_has_the_name_that_the_host_knows(
        self, base_url: str, name: str
    ) -> None:
        sent = body(OpenAI(base_url), max_tokens=5)
        assert {name: 5} == {key: value for key, value in sent.items() if "max" in key}

    def test_usage_is_asked_for_and_padding_is_not(self) -> None:
        assert {
            "include_usage": True,
            "include_obfuscation": False,
        } == body(OPENAI)["stream_options"]
        assert {"include_usage": True} == body(OpenAI("http://localhost/v1"))["stream_options"]

    def test_the_system_prompt_comes_first(self) -> None:
        roles = [message["role"] for message in body(OPENAI, system="short")["messages"]]
        assert ["system", "user"] == roles


class TestDashScope:
    def test_both_modes_are_always_said(self) -> None:
        for incremental in (True, False):
            parameters = body(
                DashScope("https://localhost/api/v1", incremental_output=incremental)
            )["parameters"]
            assert {"result_format": "message", "incremental_output": incremental} == parameters

    def test_the_stream_is_asked_for_in_the_headers(self) -> None:
        request = DASHSCOPE.request(ANY, None)
        assert "enable" == request.headers["X-DashScope-SSE"]
        assert "text/event-stream" == request.headers["Accept"]
        assert "stream" not in json.loads(request.body)

    def test_knobs_are_brought_into_range(self) -> None:
        parameters = body(DASHSCOPE, temperature=2.0, top_p=0.0)["parameters"]
        assert parameters["temperature"] < 2
        assert parameters["top_p"] > 0


class TestQianfanV1:
    def test_the_first_turn_is_the_users(self) -> None:
        turns = (text_turn(Role.ASSISTANT, "dropped"), text_turn(Role.USER, "one"))
        assert [{"role": "user", "content": "one"}] == body(QIANFAN_V1, turns=turns)["messages"]

    def test_the_system_prompt_stands_outside_the_messages(self) -> None:
        sent = body(QIANFAN_V1, system="short")
        assert ("short", 1) == (sent["system"], len(sent["messages"]))

    @pytest.mark.parametrize(("asked", "sent"), [(0.0, 0.01), (0.5, 0.5), (1.0, 1.0), (2.0, 1.0)])
    def test_the_temperature_is_brought_into_range(self, asked: float, sent: float) -> None:
        assert sent == body(QIANFAN_V1, temperature=asked)["temperature"]

    def test_the_token_limit_is_at_least_two(self) -> None:
        assert 2 == body(QIANFAN_V1, max_tokens=1)["max_output_tokens"]
        assert 9 == body(QIANFAN_V1, max_tokens=9)["max_output_tokens"]

    @pytest.mark.parametrize("stop", [tuple("12345"), ("x" * 21,)])
    def test_stop_sequences_beyond_the_apis_limits_are_refused(self, stop: tuple[str, ...]) -> None:
        assert ["a", "b" * 20] == body(QIANFAN_V1, stop=("a", "b" * 20))["stop"]
        with pytest.raises(UnsupportedOption) as caught:
            body(QIANFAN_V1, stop=stop)
        assert "stop" == caught.value.name

    @pytest.mark.parametrize(
        ("model", "segment"),
        [
            ("ERNIE-4.0-8K", "completions_pro"),
            ("ernie-3.5-8k", "completions"),
            ("ERNIE-Speed-8K", "ernie_speed"),
            ("ERNIE-Speed-128K", "ernie-speed-128k"),
            ("ERNIE-4.0-8K-Latest", "ernie-4.0-8k-latest"),
            ("ERNIE-Character-8K", "ernie-char-8k"),
            ("completions_pro", "completions_pro"),
            ("abc_MyDeployment", "abc_MyDeployment"),
            ("../../../oauth/2.0/token?x=#", "..%2F..%2F..%2Foauth%2F2.0%2Ftoken%3Fx%3D%23"),
        ],
    )
    def test_the_model_is_the_paths_last_segment(self, model: str, segment: str) -> None:
        request = QIANFAN_V1.request(Prompt(model=model, turns=HELLO), "24.to/ken&x")
        path = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
        assert (
            f"https://aip.baidubce.com{path}{segment}?access_token=24.to%2Fken%26x" == request.url
        )
        assert "model" not in json.loads(request.body)

    def test_a_token_is_read_with_its_lifetime(self) -> None:
        answer = (SAMPLES / "qianfan-token.json").read_bytes()
        token = "24.wire0000.2592000.1792592000.000000-000000"
        assert AccessToken(token, 2592000) == QIANFAN_V1.token(200, answer)
        assert AccessToken("t", 3600) == QIANFAN_V1.token(200, b'{"access_token": "t"}')

    @pytest.mark.parametrize("status", [200, 400, 401])
    def test_a_wrong_key_is_seen_whatever_the_status(self, status: int) -> None:
        answer = (SAMPLES / "qianfan-token-error.json").read_bytes()
        with pytest.raises(Unauthorized) as caught:
            QIANFAN_V1.token(status, answer)
        assert "invalid_client" == caught.value.provider_code

    @pytest.mark.parametrize(
        ("status", "answer", "error"),
        [
            (200, b"<html>", BadResponse),
            (200, b"{}", BadResponse),
            (200, b"[]", BadResponse),
            (503, b"<html>", ProviderOverloaded),
            (500, b'{"access_token": "t"}', ProviderOverloaded),
        ],
    )
    def test_an_answer_without_a_token_is_none(
        self, status: int, answer: bytes, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            QIANFAN_V1.token(status, answer)
