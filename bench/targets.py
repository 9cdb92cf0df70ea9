"""The gateways that are compared, and how each is asked, started and found to be ready.

Headrace runs with everything switched on: it parses, stores and can resume each answer. Its peers
relay: nginx and the naive Tornado server pass bytes on, TensorZero and LiteLLM rewrite each event;
none of them stores an answer. `headrace-tls` reaches its provider over TLS, as all real ones are.
"""

import asyncio
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import processes

HERE = Path(__file__).parent
# Peers are installed here, each in an environment of its own: `compare.py --install`.
PEERS = HERE.parent / ".bench"

# The models that scenarios ask. TensorZero and Headrace have to be told of them.
MODELS = [
    *("paced-200-0", "paced-100-20", "paced-5-0", "paced-20-5000", "paced-400-50"),
    *("paced-150-40", "paced-50-20", "paced-1-0", "silent", "mute"),
]


@dataclass(frozen=True)
class Dialect:
    """How a gateway is asked and how its events are read."""

    path: str
    body: str  # with MODEL and TAG in it
    mark: bytes  # is once in each event with text, and in events without as `empty_mark` says
    empty_mark: bytes

    def request(self, port: int, model: str, tag: str, api_key: str) -> bytes:
        """The request that asks `model` a question with this tag."""
        body = self.body.replace("MODEL", model).replace("TAG", tag).encode()
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {api_key}\r\nContent-Type: application/json\r\n"
            f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def text_of(self, data: bytes) -> str:
        """The text in an event's data. Raises ValueError for data that is none of the dialect's."""
        if data == b"[DONE]":
            return ""
        event = json.loads(data)
        if self is HEADRACE:
            return str(event.get("text", ""))
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])


_BODY = (
    '{"model":"MODEL","stream":true,"stream_options":{"include_usage":true},'
    '"messages":[{"role":"user","content":"bench TAG"}]}'
)
OPENAI = Dialect("/v1/chat/completions", _BODY, b'"content":"', b'"content":""')
TENSORZERO = Dialect(
    "/openai/v1/chat/completions",
    _BODY.replace("MODEL", "tensorzero::model_name::MODEL"),
    OPENAI.mark,
    OPENAI.empty_mark,
)
HEADRACE = Dialect(
    "/api/v1/chat",
    '{"model":"bench/MODEL","content":"bench TAG"}',
    b"event: delta",
    b"event: delta\ndata: {}",
)


@dataclass(frozen=True)
class Target:
    """A gateway: its dialect, its command, and the files it needs.

    In commands and files PORT, UPSTREAM (its base URL, which ends with /v1), UPSTREAM_PORT, FOLDER
    and STORE stand for what they are when it is started. With TLS, FOLDER has the provider's
    authority in `ca.pem`.
    """

    name: str
    dialect: Dialect
    command: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    prints_port: bool = False  # at the end of a line; otherwise it listens on PORT
    ready_path: str = "/v1/models"
    environment: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()  # that `--install` puts into its environment
    store: str = ""  # of Headrace: "sqlite" or "mongodb"
    is_tls: bool = False  # towards the provider
    scenarios: tuple[str, ...] = ()  # that it is measured in, if not in all

    @property
    def is_installed(self) -> bool:
        """Whether its program is there."""
        if self.packages:
            return (PEERS / self.name).is_dir()
        return not self.command or any(
            Path(folder, self.command[0]).exists() for folder in ("/", "/usr/sbin", "/usr/bin")
        )


_NGINX = """daemon off; worker_processes 1; worker_rlimit_nofile 20000;
pid FOLDER/pid; error_log FOLDER/errors;
events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000; tcp_nodelay on;
  client_body_temp_path FOLDER/bodies; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/f;
  uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
  upstream provider {
    server 127.0.0.1:UPSTREAM_PORT; keepalive 2000; keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location / {
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 300s;
    }
  }
}
"""

_TENSORZERO = "[gateway]\nobservability.enabled = false\n" + "".join(
    f'[models."{model}"]\nrouting = ["bench"]\n[models."{model}".providers.bench]\n'
    f'type = "openai"\nmodel_name = "{model}"\napi_base = "UPSTREAM/"\n'
    'api_key_location = "none"\n'
    for model in MODELS
)

_LITELLM = """model_list:
  - model_name: "*"
    litellm_params: {model: "openai/*", api_base: "UPSTREAM", api_key: bench}
litellm_settings: {telemetry: false, num_retries: 0, request_timeout: 600}
"""

_HEADRACE = f"""port = 0
[auth]
mode = "keys"
secret = "{"0" * 64}"
[storage]
url = "STORE"
[providers.bench]
dialect = "openai"
base_url = "UPSTREAM"
models = {json.dumps(MODELS)}
[limits]
answers = 1_000_000
answers_per_user = 0
questions_per_minute = 0
kept_bytes_per_user = 0
requests_per_user = 0
streams_per_user = 0
connections = 19_000
[upstream]
max_connections = 19_000
"""
_SERVER = (sys.executable, str(HERE.parent / "server.py"), "--config", "FOLDER/headrace.toml")
_SETTINGS = (("headrace.toml", _HEADRACE),)
_TLS = _HEADRACE.replace("models =", 'ca_certs = "FOLDER/ca.pem"\nmodels =')

TARGETS = (
    Target("headrace", HEADRACE, _SERVER, _SETTINGS, True, "/readyz", store="sqlite"),
    Target("headrace-mongodb", HEADRACE, _SERVER, _SETTINGS, True, "/readyz", store="mongodb"),
    Target(
        "headrace-tls",
        HEADRACE,
        _SERVER,
        (("headrace.toml", _TLS),),
        prints_port=True,
        ready_path="/readyz",
        store="sqlite",
        is_tls=True,
        # The upstream encrypts, so others would measure that.
        scenarios=("saturated", "trickle", "open"),
    ),
    Target("nginx", OPENAI, ("nginx", "-p", "FOLDER", "-c", "FOLDER/conf"), (("conf", _NGINX),)),
    Target(
        "tensorzero",
        TENSORZERO,
        (
            str(PEERS / "tensorzero/bin/python"),
            str(HERE / "tensorzero_gateway.py"),
            "FOLDER/config.toml",
        ),
        (("config.toml", _TENSORZERO),),
        prints_port=True,
        ready_path="/health",
        packages=("tensorzero==2026.6.0",),
    ),
    Target(
        "naive-tornado",
        OPENAI,
        (sys.executable, str(HERE / "naive_tornado.py"), "PORT", "UPSTREAM"),
        ready_path="/",
    ),
    Target(
        "litellm",
        OPENAI,
        (
            str(PEERS / "litellm/bin/litellm"),
            *("--config", "FOLDER/config.yaml", "--host", "127.0.0.1", "--port", "PORT"),
        ),
        (("config.yaml", _LITELLM),),
        ready_path="/health/liveliness",
        # Its pool of connections ends at 500 for a host otherwise.
        environment=(
            ("LITELLM_LOG", "ERROR"),
            ("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true"),  # as on loopback here
            ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
            ("AIOHTTP_CONNECTOR_LIMIT", "20000"),
            ("AIOHTTP_CONNECTOR_LIMIT_PER_HOST", "20000"),
        ),
        packages=("litellm[proxy]==1.106.2",),
    ),
)

# Seconds. LiteLLM imports for a minute on a busy machine.
_READY_SECONDS = 120


@dataclass
class Gateway:
    """A gateway that runs: its port, its process's id, and what its clients authenticate with."""

    target: Target
    port: int
    pid: int
    api_key: str


@asynccontextmanager
async def running(
    target: Target, folder: Path, *, upstream_port: int, store: str, core: int
) -> AsyncIterator[Gateway]:
    """Start a gateway with its files in `folder`, and end it by its process id.

    Raises TimeoutError, with the end of its log as a note, if it ends or is not ready in time.
    """
    port = 0 if target.prints_port else processes.free_port()

    def filled(words: str) -> str:
        for name, value in (
            ("UPSTREAM_PORT", str(upstream_port)),
            ("UPSTREAM", f"{'https' if target.is_tls else 'http'}://127.0.0.1:{upstream_port}/v1"),
            ("PORT", str(port)),
            ("FOLDER", str(folder)),
            ("STORE", store),
        ):
            words = words.replace(name, value)
        return words

    for name, content in target.files:
        (folder / name).write_text(filled(content))
    process = await processes.start(
        *(filled(word) for word in target.command),
        core=core,
        folder=folder,
        environment=dict(target.environment),
    )
    try:
        async with asyncio.timeout(_READY_SECONDS):
            if target.prints_port:
                port = await _printed_port(process)
            while not await asyncio.to_thread(_answers, port, target.ready_path):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            api_key = await _create_key(folder) if target.store else "bench"
        yield Gateway(target, port, process.pid, api_key)
    except TimeoutError as error:
        error.add_note((folder / "log").read_text(errors="replace")[-2000:])
        raise
    finally:
        await processes.stop(process)


async def _printed_port(process: asyncio.subprocess.Process) -> int:
    """The number at the end of the first line that has one after a colon, or nothing else."""
    assert process.stdout is not None
    async for line in process.stdout:
        if port := re.fullmatch(rb"(?:.*:)?(\d+)\s*", line):
            return int(port[1])
    raise TimeoutError("it has ended")


async def _create_key(folder: Path) -> str:
    """An API key of Headrace's, for the one user of the benchmark."""
    process = await asyncio.create_subprocess_exec(
        *(word.replace("FOLDER", str(folder)) for word in _SERVER),
        *("create-key", "--user", "bench"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return output.decode().strip()


def _answers(port: int, path: str) -> bool:
    """Whether it answers at all: a peer without such a path says 404."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
