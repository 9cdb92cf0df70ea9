"""deploy/README.md takes an operator to a running service: its own commands, run by a shell."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.proxied import Proxy
from tests.readers import call
from tests.systemd_box.box import Box

_README = Path(__file__).parents[2] / "deploy" / "README.md"

_PROXIED = "https://127.0.0.1"

# What these bring in from outside is in the box already.
_FETCHING = ("apt-get install ", "git clone ", "python3 -m venv ", "/opt/headrace/.venv/bin/pip ")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_its_commands_lead_from_a_fresh_machine_to_a_service_behind_nginx(
    box: Box, needs: Callable[[str], str]
) -> None:
    needs("nginx")
    Proxy(box, "nginx")  # its package, and ssl-cert's
    box.borrow("systemd-sysctl.service", "dbus.service", "dbus.socket")
    await box.run("systemctl", "start", "dbus.socket")
    (commands,) = re.findall(r"As\nroot:\n\n```sh\n(.*?)```", _README.read_text("utf-8"), re.DOTALL)
    lines = commands.replace("sk-…", "sk-x").splitlines()
    assert len(lines) < 15
    assert len(_FETCHING) == sum(line.startswith(_FETCHING) for line in lines)

    said = [await box.run("bash", "-c", line) for line in lines if not line.startswith(_FETCHING)]

    for unit in ("headrace.socket", "headrace@1"):
        assert "enabled" == await box.run("systemctl", "is-enabled", unit)
        assert "active" == await box.run("systemctl", "is-active", unit)
    assert "8" == await box.run("sysctl", "--values", "net.ipv4.tcp_retries2")
    (key,) = re.findall(r"hr_\S+", "\n".join(said))
    models = ("GET", "/api/v1/models")
    assert 401 == (await call(_PROXIED, *models)).status
    let_in = await call(_PROXIED, *models, headers={"Authorization": f"Bearer {key}"})
    assert "openai/gpt-4o-mini" == let_in.body["data"][0]["id"]
    assert 'mode = "keys"' in await box.run("/opt/headrace/deploy/headrace", "check-config")
