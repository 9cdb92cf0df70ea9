"""Scenes of the runbook: servers that do not start, or say something while they do."""

from supervision import Supervisor
from tests.launching import Launcher
from tests.mongod import free_ports
from tests.runbook.stage import Stage, scene


async def refused_start(stage: Stage, settings: str, *, config: str = "", **environ: str) -> None:
    launcher: Launcher = stage.launcher
    launcher.settings.write_text(settings)
    file = config or str(launcher.settings)
    stage.said += (await launcher.refused("--config", file, **environ)).splitlines()


@scene(
    "headrace: HEADRACE_PORT: should be …",
    "headrace: relay.heartbeat: unknown setting (in …)",
    "headrace: credential openai.api_key (in …): unknown setting",
    "headrace: the settings file … does not exist",
    "headrace: providers.local.ca_certs: cannot read …",
    needs="launcher tmp_path",
)
async def wrong_settings(stage: Stage) -> None:
    credentials = stage.tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "openai.api_key").write_text("sk-x")

    await refused_start(stage, "", HEADRACE_PORT="http")
    await refused_start(stage, "[relay]\nheartbeat = 1")
    await refused_start(stage, "", CREDENTIALS_DIRECTORY=str(credentials))
    await refused_start(stage, "", config="gone.toml")
    await refused_start(
        stage, "[providers.local]\ndialect = 'openai'\nmodels = ['m']\nca_certs = '/nowhere/ca.pem'"
    )


@scene(
    "headrace: cannot listen on …: Address already in use",
    "headrace: cannot use …: …",
    "headrace: … is in use by another Headrace (process …",
    "headrace: … failed on MongoDB at …: no server that accepts writes was found",
    needs="launcher tmp_path",
)
async def no_start(stage: Stage) -> None:
    (stage.tmp_path / "file").write_text("")
    stage.launcher.settings.write_text("port = 0")
    _, url = await stage.launcher.serve()
    port = url.rpartition(":")[2]
    nobody = f"127.0.0.1:{free_ports(1)[0]}"

    await refused_start(stage, f"port = {port}\n[storage]\nurl = 'sqlite:///other.db'")
    await refused_start(stage, "port = 0\n[storage]\nurl = 'sqlite:///file/headrace.db'")
    await refused_start(stage, "port = 0")
    await refused_start(
        stage, f"[storage]\nurl = 'mongodb://{nobody}/x?serverSelectionTimeoutMS=100'"
    )


@scene(
    'auth.mode "none": this system does not tell who connects, only headers do',
    needs="serve monkeypatch",
)
async def not_on_linux(stage: Stage) -> None:
    stage.monkeypatch.setattr("app.listeners.HAS_PEER_CREDENTIALS", False)
    await stage.serve.start()


@scene("systemd cannot be notified error=…", needs="tmp_path")
async def systemd_does_not_listen(stage: Stage) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": str(stage.tmp_path / "nobody")})
    supervisor.ready(lambda: "serving")
