"""The running server held against its own description, by a program that reads nothing else.

schemathesis asks what the document allows and what it does not, one operation by itself and one
after the other, and holds each response against it: status, headers, body and events, who is let
in, what is refused, what is left of what was deleted. All of its checks are on.

`HEADRACE_TEST_EXAMPLES` says how many requests to try of each kind; `make fuzz` tries many.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

# For each operation and phase. The phase called coverage tries every bound of every field anyway.
_EXAMPLES = int(os.environ.get("HEADRACE_TEST_EXAMPLES", "3"))

# Seconds. A run of the suite takes half a minute on an idle core; each example more is a request.
_PATIENCE = 300 + _EXAMPLES

_HOOKS = Path(__file__).parent / "schemathesis_hooks.py"

# The same requests each time, unless many are wanted; a failure is told as it was found.
_SETTINGS = f"""
hooks = {json.dumps(str(_HOOKS))}
continue-on-failure = true
request-timeout = 20

[generation]
max-examples = {_EXAMPLES}
deterministic = {"true" if _EXAMPLES <= 10 else "false"}
no-shrink = true

[checks]
enabled = true
"""


# Every bound of every field is tried with keys, and that is most of a run.
_WITHOUT_COVERAGE = "[phases.coverage]\nenabled = false\n"


def _keys(alice: str, bob: str) -> str:
    """Whose keys to ask with, and with whose to look at what is not theirs."""
    users = {"alice": alice, "bob": bob}
    entries = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": value}]}
        for name, value in users.items()
    ]
    return json.dumps({"auth": entries})


async def _conforms(server: Server, folder: Path, settings: str) -> None:
    (folder / "schemathesis.toml").write_text(settings)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run"),
        f"{server.url}/api/openapi.json",
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert 0 == process.returncode, told.decode()


@pytest.fixture
def settings(providers: Any, upstream: ScriptedUpstream) -> dict[str, Any]:
    upstream.tokens("a")
    upstream.finish()
    return {"providers": providers, "limits": {"questions_per_minute": 0}}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=_PATIENCE)
async def test_a_server_without_keys_is_as_it_is_described(
    serve: Serving, settings: dict[str, Any], tmp_path: Path
) -> None:
    server = await serve.start(**settings)

    await _conforms(server, tmp_path, _SETTINGS + _WITHOUT_COVERAGE)


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.gen_test(timeout=_PATIENCE)
async def test_a_server_with_keys_is_as_it_is_described(
    auth_servers: AuthServers, settings: dict[str, Any], tmp_path: Path
) -> None:
    server = await auth_servers.open(**settings)
    # An admin, so that /metrics is among what is tried.
    alice, bob = (
        await auth_servers.create_key("alice", admin=True),
        await auth_servers.create_key("bob", admin=True),
    )
    users = tmp_path / "users.json"
    users.write_text(_keys(alice.headers["Authorization"], bob.headers["Authorization"]))
    entering = (
        f"[auth.wfc]\npath = {json.dumps(str(users))}\nuser = 'alice'\npeers = ['alice', 'bob']\n"
    )

    await _conforms(server, tmp_path, _SETTINGS + entering)
