"""Who imports what: for every room and every module at the top, all that it may use, and no more.

A place's row is the longest one that its path begins with. Its own modules are always allowed, and
of Python's library everything but what owns sockets, threads, an event loop or a database.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

from tests.rooms import ROOT, modules, rooms, sources

# Of Python's library, what a row has to name.
OWNERS = {"asyncio", "socket", "sqlite3", "subprocess", "threading"}

LOG_LINES = "telemetry.log_event telemetry.outage_log telemetry.rate_limited_log"


class Row(NamedTuple):
    """What a place may import, as words: modules or rooms of ours, and packages of others."""

    ours: str
    others: str = ""


# From the top down: nothing imports from a row above its own (`test_rooms_form_no_circle`).
ALLOWED = {
    "server.py": Row(
        "app auth.api_key_commands commands doctor service_links settings sockets.listening "
        "storage.errors telemetry.logs",
        "asyncio",
    ),
    "app": Row(
        "authentication handlers http_client providers relay settings sockets storage supervision "
        "telemetry webhooks",
        "asyncio tornado",
    ),
    "commands.py": Row("auth settings storage", "asyncio"),
    "doctor": Row(
        "http_client model presets providers settings sockets storage webhooks",
        "asyncio msgspec socket tornado",
    ),
    "authentication.py": Row(
        "auth handlers http_client settings storage.contract", "asyncio tornado.httpclient"
    ),
    "handlers": Row(
        "auth.errors auth.principal auth.tickets model providers.errors relay settings.addresses "
        "sockets storage.contract storage.cursors storage.errors storage.values "
        f"telemetry.metrics {LOG_LINES}",
        "asyncio msgspec tornado",
    ),
    # A document made of types and a table.
    "handlers/openapi": Row("handlers storage.values", "msgspec tornado.template"),
    # Client protocols are functions of the record: no loop, no clock, no chance.
    "handlers/wires": Row(
        "handlers.errors handlers.event_data handlers.openai handlers.response_bodies model "
        "relay.answer relay.errors relay.tool_loop",
        "msgspec",
    ),
    "telemetry": Row("model relay.answer_record relay.stats", "asyncio prometheus_client"),
    "telemetry/traces.py": Row("relay.answer_record", "asyncio opentelemetry"),
    "auth": Row(
        "model storage.contract storage.errors storage.values telemetry.outage_log",
        "asyncio jwt msgspec",
    ),
    "webhooks": Row(
        "http_client model storage.contract storage.errors storage.values telemetry.log_event "
        "telemetry.outage_log telemetry.rate_limited_log",
        "asyncio msgspec tornado.httputil",
    ),
    "webhooks/building.py": Row("http_client.endpoints settings webhooks"),
    # The rules: no HTTP, no database.
    "relay": Row(
        "model providers.errors providers.sink storage.contract storage.errors storage.sizes "
        "storage.values telemetry.busy_time telemetry.log_event telemetry.outage_log",
        "asyncio msgspec",
    ),
    "sockets": Row(
        "settings telemetry.log_event telemetry.rate_limited_log",
        "asyncio msgspec socket tornado",
    ),
    # Dialects and interpreters are pure, bytes in and deltas out, but for those that call.
    "providers": Row("model presets telemetry.log_event", "msgspec"),
    "providers/building.py": Row("http_client.client presets providers settings", "pydantic"),
    "providers/call.py": Row("http_client model providers", "asyncio tornado.httputil"),
    "providers/credentials.py": Row("http_client providers", "asyncio"),
    "providers/demo.py": Row("providers.demo_scripts", "asyncio msgspec tornado"),
    "providers/transport_errors.py": Row("http_client.errors providers.errors"),
    "providers/provider.py": Row("http_client.client model providers", "asyncio"),
    "providers/transport.py": Row("http_client.client providers.dialect"),
    "http_client": Row("telemetry.log_event", "asyncio certifi httptools socket threading tornado"),
    "storage": Row("model telemetry.log_event", "msgspec"),
    "storage/mongo": Row("model storage", "asyncio bson motor msgspec pymongo"),
    "storage/sqlite": Row("model storage", "asyncio msgspec sqlite3 threading"),
    "settings": Row(
        "presets service_links webhooks.signing", "pydantic pydantic_core pydantic_settings"
    ),
    "supervision.py": Row("telemetry.outage_log", "asyncio socket"),
    "presets": Row(""),
    "service_links.py": Row(""),
    "webhooks/signing.py": Row(""),
    "model": Row("", "msgspec"),
    # How log lines are written, and how busy a thread is, for everybody.
    "telemetry/busy_time.py": Row(""),
    "telemetry/outage_log.py": Row("telemetry.log_event telemetry.rate_limited_log"),
    "telemetry/rate_limited_log.py": Row("telemetry.log_event", "asyncio"),
    "telemetry/log_event.py": Row(""),
}


@cache
def imports(source: Path) -> list[str]:
    """Every module that a source file imports anywhere in it, by its full name."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source.read_bytes(), str(source))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert 0 == node.level, f"{source}: a name that begins with a dot"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def place_of(source: Path) -> str:
    """The key of the row that a source file comes under."""
    path = source.relative_to(ROOT).as_posix()
    return max((place for place in ALLOWED if _is_in(path, place)), key=len, default="")


def granted(name: str, words: str) -> list[str]:
    """Those of `words` by which `name` may be imported."""
    return [word for word in words.split() if name == word or name.startswith(f"{word}.")]


def uses() -> Iterator[tuple[Path, str, bool]]:
    """Files, what they import, and whether that is ours; without what needs no row."""
    ours = {*rooms(), *(module.removesuffix(".py") for module in modules())}
    for source in sources():
        for name in imports(source):
            top = name.partition(".")[0]
            if top in ours or top in OWNERS or top not in sys.stdlib_module_names:
                yield source, name, top in ours


def test_every_room_and_every_module_at_the_top_has_a_row() -> None:
    assert {*rooms(), *modules()} == {place for place in ALLOWED if "/" not in place}
    assert [] == [place for place in ALLOWED if not (ROOT / place).exists()]


def test_nothing_is_imported_that_is_not_allowed() -> None:
    offences = []
    for source, name, is_ours in uses():
        place = place_of(source)
        row = ALLOWED[place]
        own = place.removesuffix(".py").replace("/", ".")
        if not granted(name, f"{own} {row.ours}" if is_ours else row.others):
            offences.append(f"{source.relative_to(ROOT)} imports {name}")

    assert [] == offences


def test_nothing_is_allowed_that_is_not_imported() -> None:
    """Else a list says more than is so, and lets in what nobody has looked at."""
    used = {
        (place_of(source), word)
        for source, name, is_ours in uses()
        for word in granted(name, ALLOWED[place_of(source)][0 if is_ours else 1])
    }

    allowed = {(place, word) for place, row in ALLOWED.items() for word in " ".join(row).split()}
    assert set() == allowed - used


def test_rooms_form_no_circle() -> None:
    """A module with a row of its own counts by itself, and a folder within a room as the room."""
    circle_free = TopologicalSorter[str]()
    for place, row in ALLOWED.items():
        node = place if place.endswith(".py") else place.partition("/")[0]
        for word in row.ours.split():
            path = word.replace(".", "/")
            module = f"{path}.py"
            other = module if module in ALLOWED else path.partition("/")[0]
            if other != node:
                circle_free.add(node, other)

    circle_free.prepare()  # raises CycleError, which names the circle


def test_client_protocols_know_no_clock_and_no_chance() -> None:
    found = [
        f"{source.relative_to(ROOT)} imports {name}"
        for source in (ROOT / "handlers/wires").rglob("*.py")
        for name in imports(source)
        if name.partition(".")[0] in {"random", "secrets", "time"}
    ]

    assert [] == found


def test_the_server_needs_nothing_that_make_run_does_not_install() -> None:
    """`make run` installs requirements.txt and nothing else: all else is kept from the server."""
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.M)
    installed = {_canonical(name) for name in pinned}
    others = [
        module
        for module, names in packages_distributions().items()
        if not installed & {_canonical(name) for name in names}
    ]
    program = f"""if True:
        import sys

        class NotInstalled:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {others!r}:
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, NotInstalled())
        import server
        sys.exit(server.main(["check-config"]))
    """

    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "pytest" in others
    assert (0, "") == (ran.returncode, ran.stderr)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_in(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")
