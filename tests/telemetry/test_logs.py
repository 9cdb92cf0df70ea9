"""The log as people and collectors read it."""

import json
import logging

import pytest

from telemetry.log_event import LogEvent
from telemetry.logs import JsonFormatter
from tests.launching import Launcher
from tests.readers import Reader
from tests.upstreams import ScriptedUpstream


def _logged(message: object, *values: object, exc_info: object = None) -> dict[str, object]:
    record = logging.LogRecord(
        "headrace.x",
        logging.INFO,
        __file__,
        1,
        message,
        values,
        exc_info,  # type: ignore[arg-type]
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    logged: dict[str, object] = json.loads(line)
    assert logged.pop("time")
    return logged


def test_the_values_of_an_event_become_members_of_their_own_types() -> None:
    event = LogEvent(
        "answer ended", provider_code=None, code="x\ny", chars=3, late=True, seconds=1.5
    )

    logged = _logged(event)

    assert {
        "level": "info",
        "logger": "headrace.x",
        "message": "answer ended",
        "provider_code": None,
        "code": "x\ny",
        "chars": 3,
        "late": True,
        "seconds": 1.5,
    } == logged


@pytest.mark.parametrize(
    ("words", "values", "message"),
    [
        ("no values, 100%", (), "no values, 100%"),
        ("%s is %.1f%% full id=%s", ("disk", 99.0, "a"), "disk is 99.0% full id=a"),
        ("level=%s of theirs", ("high",), "level=high of theirs"),
        ("their=%(own)s way", ({"own": "odd"},), "their=odd way"),
        (ValueError("an\nobject"), (), "an\nobject"),
    ],
)
def test_a_line_of_a_library_is_a_message_and_nothing_else(
    words: object, values: tuple[object, ...], message: str
) -> None:
    logged = _logged(words, *values)

    assert {"level": "info", "logger": "headrace.x", "message": message} == logged


def test_a_traceback_is_one_member() -> None:
    error = ValueError("odd")

    logged = _logged("it failed", exc_info=(ValueError, error, None))

    assert "ValueError: odd" == logged["exception"]


def _log(launcher: Launcher, number: int = -1) -> list[str]:
    return launcher.log(launcher.started[number]).splitlines()


@pytest.mark.slow
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
