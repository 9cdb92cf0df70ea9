"""The log as people and collectors read it."""

import json
import logging

import pytest

from telemetry.logs import JsonFormatter
from tests.launching import Launcher
from tests.readers import Reader
from tests.upstreams import ScriptedUpstream


def _logged(words: str, *values: object, exc_info: object = None) -> dict[str, object]:
    record = logging.LogRecord(
        "headrace.x",
        logging.INFO,
        __file__,
        1,
        words,
        values,
        exc_info,  # type: ignore[arg-type]
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    logged: dict[str, object] = json.loads(line)
    assert logged.pop("time")
    return logged


def test_named_values_become_members_and_the_words_the_message() -> None:
    logged = _logged(
        "answer ended provider_code=%s code=%s chars=%d late=%s total_ms=%d",
        "-",
        "x\ny",
        3,
        True,
        12.7,
    )

    assert {
        "level": "info",
        "logger": "headrace.x",
        "message": "answer ended",
        "provider_code": None,
        "code": "x\ny",
        "chars": 3,
        "late": True,
        "total_ms": 12,
    } == logged


@pytest.mark.parametrize(
    ("words", "values", "message", "members"),
    [
        ("no values, 100%", (), "no values, 100%", {}),
        ("%s is %.1f%% full id=%s", ("disk", 99.0, "a"), "disk is 99.0% full", {"id": "a"}),
        ("level=%s of ours", ("high",), "level=high of ours", {}),  # a name that is taken
        ("their=%(own)s way", ({"own": "odd"},), "their=odd way", {}),
    ],
)
def test_what_has_no_name_of_its_own_stays_in_the_message(
    words: str, values: tuple[object, ...], message: str, members: dict[str, object]
) -> None:
    logged = _logged(words, *values)

    assert {"level": "info", "logger": "headrace.x", "message": message, **members} == logged


def test_a_traceback_is_one_member() -> None:
    error = ValueError("odd")

    logged = _logged("it failed", exc_info=(ValueError, error, None))

    assert "ValueError: odd" == logged["exception"]


def _log(launcher: Launcher, number: int = -1) -> list[str]:
    return launcher.log(launcher.started[number]).splitlines()


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.gen_test
async def test_an_answer_leaves_one_line_under_its_requests_id(
    launcher: Launcher, upstream: ScriptedUpstream, format_: str
) -> None:
    launcher.settings.write_text(
        f'port = 0\n[log]\nformat = "{format_}"\n'
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )
    _, url = await launcher.serve()
    upstream.tokens("one", "two")
    upstream.finish(usage=(7, 2))

    reader = await Reader.ask(url, headers={"X-Request-Id": "mine-1"})
    timing = (await reader.end())["timing"]
    again = await Reader.come_back(url, reader.answer_id)
    await again.end()

    assert "mine-1" == reader.headers["x-request-id"]
    lines = [line for line in _log(launcher) if "answer ended" in line]
    assert 1 == len(lines)
    if format_ == "json":
        line = json.loads(lines[0])
        assert timing["first_token_ms"] == line.pop("first_token_ms")
        assert timing["total_ms"] <= line.pop("total_ms")  # which counts the storing, too
        assert line.pop("time").endswith("+00:00")
        assert {
            "level": "info",
            "logger": "headrace.relay",
            "message": "answer ended",
            "status": "complete",
            "code": None,
            "provider_code": None,
            "reason": None,
            "provider": "openai",
            "model": "gpt-4o-mini",
            "answer": reader.answer_id,
            "user": "25bf8e1a2393f110",
            "request": "mine-1",
            "chars": 6,
            "input_tokens": 7,
            "output_tokens": 2,
            "estimated": False,
            "readers": 1,
        } == line
    else:
        for said in ("INFO", "status=complete", "request=mine-1", "readers=1", "user=25bf8e1a"):
            assert said in lines[0]
