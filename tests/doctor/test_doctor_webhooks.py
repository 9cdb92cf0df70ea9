"""What the doctor says of webhooks: whether they accept what this server signs."""

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.doctor.examining import run_doctor
from tests.storage.raw import leave_first_stage
from tests.webhook_receiver import SECRET, Receiver, is_signed
from webhooks import posting


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    return {"url": f"sqlite:///{tmp_path}/data/headrace.db"}


async def said_of(receiver: Receiver, storage: dict[str, str], **more: Any) -> tuple[bool, str]:
    """Whether all is fine, and the lines about the webhook."""
    fine, said = await run_doctor(storage=storage, webhooks=[receiver.settings(**more)])
    return fine, said[said.index("webhook ") :]


@pytest.mark.gen_test
async def test_a_webhook_is_sent_a_signed_event_that_no_receiver_acts_on(
    receiver: Receiver, storage: dict[str, str]
) -> None:
    fine, said = await said_of(receiver, storage)

    (received,) = receiver.received
    assert fine
    assert "accepted a test event in" in said
    assert is_signed(received)
    assert (received.id, "event", "webhook.test") == (
        *(received.event["id"], received.event["object"]),
        received.event["type"],
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "check that it has the same secret"),
        (404, "check the path of its url"),
        (307, "redirects are not followed"),
        (500, "see its own log"),
    ],
)
@pytest.mark.gen_test
async def test_a_webhook_that_does_not_accept_it_is_wrong(
    receiver: Receiver, storage: dict[str, str], status: int, words: str
) -> None:
    receiver.status = status

    fine, said = await said_of(receiver, storage)

    assert not fine
    assert f"a test event got HTTP {status}" in said
    assert words in said


@pytest.mark.gen_test
async def test_a_webhook_that_cannot_be_reached_or_hangs_is_wrong(
    receiver: Receiver, storage: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "POST_SECONDS", 0.2)
    receiver.is_silent = True
    hanging = await said_of(receiver, storage)
    await receiver.stop()

    down = await said_of(receiver, storage)

    assert [False, False] == [hanging[0], down[0]]
    assert "no response: timed_out" in hanging[1]
    assert "no response: refused" in down[1]


@pytest.mark.gen_test
async def test_a_certificate_of_an_unknown_ca_is_told(storage: dict[str, str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    receiver = await Receiver(tls=context).start()

    fine, said = await said_of(receiver, storage)
    await receiver.stop()

    assert not fine
    assert "no response: tls_unknown_ca\n       -> set its ca_certs" in said


@pytest.mark.gen_test
async def test_neither_the_secret_nor_the_path_is_shown(
    receiver: Receiver, storage: dict[str, str]
) -> None:
    _, said = await said_of(receiver, storage, url=f"{receiver.url}/canary?canary")

    assert "canary" not in said
    assert SECRET.removeprefix("whsec_") not in said
    assert base64.b64decode(SECRET.removeprefix("whsec_")).decode() not in said


@pytest.mark.gen_test
async def test_a_file_without_a_place_for_events_is_wrong_only_with_webhooks(
    receiver: Receiver, storage: dict[str, str]
) -> None:
    leave_first_stage(storage["url"])

    fine, said = await run_doctor(storage=storage, webhooks=[receiver.settings()])
    without, _ = await run_doctor(storage=storage)

    assert (False, True) == (fine, without)
    assert "no table for events for webhooks yet\n       -> server.py migrate" in said
