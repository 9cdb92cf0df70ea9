"""Webhooks in the settings, and nowhere else."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from settings import describe, load
from tests.rooms import ROOT
from tests.settings.steps import error_message

KEY = "whsec_" + base64.b64encode(b"canary" * 5).decode()
OTHER = "whsec_" + base64.b64encode(b"second" * 5).decode()
URL = "https://app.example.org/headrace"
EVERY = (
    *("response.completed", "response.incomplete"),
    *("response.failed", "response.cancelled"),
)

Toml = Callable[..., Path]


def hook(**fields: str) -> str:
    lines = "".join(f'{name} = "{value}"\n' for name, value in fields.items())
    return f"[[webhooks]]\n{lines}"


def test_a_webhook_has_an_address_a_secret_and_all_events(toml: Toml) -> None:
    (webhook,) = load(toml(hook(url=URL, secret=KEY)), {}).webhooks

    assert (URL, KEY, EVERY) == (webhook.url, webhook.secret.get_secret_value(), webhook.events)


def test_there_are_none_by_default(toml: Toml) -> None:
    assert () == load(toml(""), {}).webhooks


def test_events_are_chosen_by_name(toml: Toml) -> None:
    text = hook(url=URL, secret=KEY) + 'events = ["response.failed"]\n'

    assert ("response.failed",) == load(toml(text), {}).webhooks[0].events


def test_a_whole_webhook_can_come_from_the_environment() -> None:
    environ = {
        "HEADRACE_WEBHOOKS__0__URL": URL,
        "HEADRACE_WEBHOOKS__0__SECRET": KEY,
        "HEADRACE_WEBHOOKS__0__EVENTS": "response.failed, response.cancelled",
    }

    (webhook,) = load(None, environ).webhooks

    assert (URL, ("response.failed", "response.cancelled")) == (webhook.url, webhook.events)


def test_variables_and_credentials_add_secrets_to_the_file(toml: Toml, tmp_path: Path) -> None:
    file = toml(hook(url=URL) + hook(url=f"{URL}/second"))
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "webhooks.1.secret").write_text(f"{OTHER}\n")
    environ = {
        "HEADRACE_WEBHOOKS__0__SECRET": KEY,
        "CREDENTIALS_DIRECTORY": str(credentials),
    }

    first, second = load(file, environ).webhooks

    assert [(URL, KEY), (f"{URL}/second", OTHER)] == [
        (each.url, each.secret.get_secret_value()) for each in (first, second)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (hook(url=URL), "webhooks.0.secret: is required"),
        (hook(secret=KEY), "webhooks.0.url: is required"),
        (hook(url=URL, secret="whsec_short"), "webhooks.0.secret: should be whsec_ and base64"),
        (hook(url=URL, secret=KEY.removeprefix("whsec_")), "webhooks.0.secret: should be whsec_"),
        (hook(url="ftp://x", secret=KEY), "webhooks.0.url: should be an address"),
        (
            hook(url="https://user:canary@x", secret=KEY),
            "webhooks.0.url: should not contain a user",
        ),
        (hook(url=f"{URL}#a", secret=KEY), "webhooks.0.url: should not contain"),
        (hook(url=URL, secret=KEY, event="x"), "webhooks.0.event: unknown setting"),
        (hook(url=URL, secret=KEY, events="response.created"), "webhooks.0.events.0: should be"),
        (hook(url=URL, secret=KEY, events=""), "webhooks.0.events: "),
        (hook(url=URL, secret=KEY) * 2, "webhooks: two webhooks have the same url"),
        ('[webhooks]\nurl = "https://x"\n', "webhooks: should be a valid tuple"),
        (
            "".join(hook(url=f"{URL}/{number}", secret=KEY) for number in range(11)),
            "webhooks: ",
        ),
    ],
)
def test_a_wrong_one_is_an_error_that_names_it_and_shows_no_secret(
    toml: Toml, text: str, words: str
) -> None:
    said = error_message(toml(text))

    assert said.startswith(words), said
    assert not any(hidden in said for hidden in ("canary", KEY, KEY.removeprefix("whsec_")))


def test_a_wrong_variable_is_called_by_its_name() -> None:
    environ = {"HEADRACE_WEBHOOKS__0__URL": URL, "HEADRACE_WEBHOOKS__0__SECRET": "canary"}

    said = error_message(None, environ)

    assert said.startswith("HEADRACE_WEBHOOKS__0__SECRET: should be whsec_")
    assert "canary" not in said


def test_the_description_masks_secrets_and_can_be_read_back(toml: Toml, tmp_path: Path) -> None:
    settings = load(toml(hook(url=URL, secret=KEY) + hook(url=f"{URL}/2", secret=KEY)), {})

    shown = describe(settings)
    again = tmp_path / "again.toml"
    again.write_text(shown.replace("**********", KEY))

    assert KEY not in shown + repr(settings)
    assert 2 == shown.count("[[webhooks]]")
    assert settings.webhooks == load(again, {}).webhooks


def test_no_request_can_name_an_address_that_is_called() -> None:
    """Only the settings make webhooks: neither handlers nor the relay know the room."""
    for room in ("handlers", "relay"):
        for file in (ROOT / room).rglob("*.py"):
            assert "from webhooks" not in file.read_text("utf-8"), file
