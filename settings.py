"""Every knob of the server: one frozen tree, built once at the start and handed down.

Four places can set a value, each beating the ones before it: keys under the names that vendors give
them (`OPENAI_API_KEY`, …), a TOML file, the environment (`HEADRACE_RELAY__HEARTBEAT_SECONDS`), and
systemd credentials (a file `providers.openai.api_key` in `$CREDENTIALS_DIRECTORY`). A wrong or
unknown setting stops the start with one line that names it and never shows a secret.

`load` builds the tree, `describe` prints it. Tests may also write `Settings(port=0, …)`: the class
itself reads nothing but its arguments. Times are seconds unless a name says otherwise.
"""

import ipaddress
import json
import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from presets import PRESETS, DialectName, MaxTokensName, ProviderField, preset_of
from service_links import service_links

DEFAULT_FILE = Path("headrace.toml")
PREFIX = "HEADRACE_"
MASK = "**********"
# What systemd puts before a file's name where LoadCredential= names a folder, as deploy/ has it.
CREDENTIAL_PREFIX = "headrace_"

# The vendors' own names for their keys, in the order in which the first one's provider is default.
_KEY_VARIABLES = tuple(
    (name, variables) for name, preset in PRESETS.items() for variables in preset.key_variables
)
_PRINTABLE = re.compile(r"[!-~]+")

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]

# As many as 128 random bits have in hex: nobody finds those by trying tickets.
_SECRET_CHARS = 32

# Apps and extensions of browsers have schemes of their own, and their hosts may have capitals.
_APP_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~-]+(:[1-9][0-9]{0,4})?")

# Origins of these kinds are told as "null", and would let in whatever somebody saved or framed.
_ANONYMOUS = ("about", "blob", "data", "file", "filesystem", "javascript")

# What would be taken off paths that never had it put before them.
_OWN_PATHS = re.compile(
    r"/(api(/(v1(/.*)?|docs|openapi\.json))?|(assets|c)(/[^/]*)?|healthz|metrics|readyz)"
)

# How `host` names a socket in the file system in place of an address.
UNIX = "unix:"


class SettingsError(Exception):
    """A setting is wrong or unknown. The message is one line, names it and shows no secret."""


def _web_address(text: str) -> SplitResult:
    """Split an http(s) address, complaining without repeating it: it may hold a password."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _PRINTABLE.fullmatch(text):  # urlsplit passes over line ends in silence
        raise ValueError("should be an address such as https://host:port")
    return parts


def _secret(value: SecretStr) -> SecretStr:
    # It travels in a header: a line end pasted along with it would be an attack or a riddle.
    if not _PRINTABLE.fullmatch(value.get_secret_value()):
        raise ValueError("should be printable ASCII without spaces")
    return value


def _proxy(text: str) -> str:
    parts = _web_address(text)
    if parts.scheme != "http" or parts.port is None or parts.path not in ("", "/") or parts.query:
        raise ValueError("should be http://host:port or http://user:password@host:port")
    return text.removesuffix("/")


def _provider_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise ValueError("a provider's name is made of a-z, 0-9, - and _")
    return text


def _origin(text: str) -> str:
    # Compared whole with what the browser sends: what it would never send is a mistake.
    if text == "null" or text.partition(":")[0] in _ANONYMOUS:
        raise ValueError(
            f"{text} names nobody: every sandboxed frame or file has it. Give the app's page an "
            "origin of its own, such as capacitor://localhost"
        )
    web = re.fullmatch(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[1-9][0-9]{0,4})?", text)
    is_usual = web is not None and web[3] == {"http": ":80", "https": ":443"}[web[1]]
    is_of_an_app = _APP_ORIGIN.fullmatch(text) and not text.startswith(("http:", "https:"))
    if is_usual or not (web or is_of_an_app):
        raise ValueError(
            "an origin is written as the browser sends it, such as https://example.org: without a "
            "path, its usual port or capitals"
        )
    return text


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if text.startswith(UNIX) or not (re.search(r"[:/\s]", text) or bare != text):
        return text
    try:
        address = ipaddress.IPv6Address(bare)
        return str(address.ipv4_mapped or address)
    except ValueError:
        raise ValueError(
            "should be an address or a name alone, such as 0.0.0.0, ::1 or localhost: the port is "
            "a setting of its own"
        ) from None


def _base_path(text: str) -> str:
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", path):
        raise ValueError('should be a path such as "/chat", of letters, digits, ., _, ~ and -')
    if _OWN_PATHS.fullmatch(path):  # nobody could tell whether a proxy has taken it off
        raise ValueError(f"{path} is an address of the server itself: take another one")
    return path


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < _SECRET_CHARS:
        raise ValueError(f"should have at least {_SECRET_CHARS} characters")
    return value


def _key_address(text: str) -> str:
    # Who can change the keys on their way makes everybody's tokens.
    parts = _web_address(text)
    if parts.username is not None or parts.fragment:
        raise ValueError("should hold neither user, password nor fragment")
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise ValueError("should be https, unless it is on this machine")
    return text


def _ca_file(path: Path) -> Path:
    # Looked into at the start: else every question would fail, and nobody would see why.
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:  # an OSError, too
        raise ValueError(f"{path} holds no certificates in PEM") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    return path


def _words(value: object) -> object:
    """Let a variable, which is always one string, hold a list."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
Limit = Annotated[int, Field(ge=0)]  # 0: none
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Word = Annotated[str, Field(min_length=1)]
Host = Annotated[Word, AfterValidator(_host)]
CaFile = Annotated[Path, AfterValidator(_ca_file)]


class Section(BaseModel):
    """One table of the file: it cannot be changed, and knows no other names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StorageSettings(Section):
    """Where conversations are kept. The address may hold a password: `masked` is for showing it."""

    url: str = Field("sqlite:///data/headrace.db", repr=False)

    @field_validator("url")
    @classmethod
    def _known_kind(cls, url: str) -> str:
        if not re.match(r"sqlite:///.|mongodb(\+srv)?://.", url) or "\0" in url:
            raise ValueError("should be sqlite:///path, mongodb://… or mongodb+srv://…")
        if url != url.strip():  # such as the CR of a file that another system wrote
            raise ValueError("has a blank or a line end at its end: that would be another file")
        return url


class JwtSettings(Section):
    """Whose tokens are taken. What a token says about itself is held against this."""

    issuer: Word
    audience: Annotated[tuple[Word, ...], BeforeValidator(_words), Field(min_length=1)]
    # Only what signs with a private key: one that could be checked with a shared secret could be
    # forged with a published key.
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(_words), Field(min_length=1)]
    jwks_url: Annotated[str, AfterValidator(_key_address)]
    ca_certs: CaFile | None = None  # in place of certifi's
    # Clocks of machines that are looked after differ by less; more would prolong every token.
    leeway_seconds: float = Field(30.0, ge=0, le=300)
    # A word among a token's scopes. Unset, no token makes an admin.
    admin_scope: Word | None = None
    # The claim that says which models its holder may ask, as `create-key --models` does for keys.
    # Unset, any. Set, a token without it may ask none: else forgetting it would open them all.
    models_claim: Word | None = None


class AuthSettings(Section):
    """Who may ask. "none" trusts every program on this machine, and so never listens beyond it."""

    mode: Literal["none", "keys", "jwt"] = "none"
    # Signs tickets. Every process has the same; another one ends all tickets that were given.
    secret: Annotated[Secret, AfterValidator(_long)] | None = None
    # "keys": how long a key that was revoked elsewhere may still open something here. One query for
    # all keys in use each time. A minute is not "within seconds" any more.
    recheck_seconds: float = Field(3.0, gt=0, lt=60)
    jwt: JwtSettings | None = None

    @model_validator(mode="after")
    def _has_what_its_mode_needs(self) -> Self:
        if self.mode != "none" and self.secret is None:
            raise ValueError(
                f'secret is required for mode "{self.mode}": {_SECRET_CHARS} characters '
                'or more, such as "openssl rand -hex 32" prints'
            )
        if self.mode == "jwt" and self.jwt is None:
            raise ValueError('mode "jwt" needs the table auth.jwt')
        if self.mode != "jwt" and self.jwt is not None:
            raise ValueError(f'jwt is for mode "jwt", not for "{self.mode}"')
        return self


class ProviderSettings(Section):
    """One provider: where it is, how it speaks, and what opens it."""

    dialect: DialectName
    # Unset, the dialect's public address and its usual model.
    base_url: str = Field("", validate_default=True)
    models: Annotated[tuple[Word, ...], BeforeValidator(_words)] = Field((), validate_default=True)
    api_key: Secret | None = None
    secret_key: Secret | None = None  # qianfan-v1: the other half of its key pair
    access_token: Secret | None = None  # qianfan-v1: in place of the pair
    proxy: Annotated[str, AfterValidator(_proxy)] | None = Field(None, repr=False)
    ca_certs: CaFile | None = None  # in place of certifi's
    incremental_output: bool = True  # dashscope: false asks for cumulative events
    # What some servers of OpenAI's dialect need; `server.py doctor --ask` finds out.
    stream_options: bool = True  # false: not sent, for servers that refuse the field
    max_tokens_name: MaxTokensName | None = None  # unset: `max_tokens`, but for OpenAI's own hosts
    done_ends: bool = False  # true: `[DONE]` is a finish mark, for servers that send no other

    @field_validator("base_url")
    @classmethod
    def _address(cls, text: str, info: ValidationInfo) -> str:
        if not text:
            return preset_of(info.data.get("dialect", "demo")).base_url
        parts = _web_address(text)
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("should hold neither user, password, query nor fragment")
        return text.rstrip("/")

    @field_validator("models")
    @classmethod
    def _usual_model(cls, models: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return models or preset_of(info.data.get("dialect", "demo")).models

    @model_validator(mode="after")
    def _fits_its_dialect(self) -> Self:
        preset = preset_of(self.dialect)
        for name in get_args(ProviderField):
            set_by_hand = getattr(self, name) != type(self).model_fields[name].default
            if set_by_hand and name not in preset.fields:
                raise ValueError(f"{name} is not for the {self.dialect} dialect")
        if self.dialect == "qianfan-v1":
            pair = (self.api_key is not None, self.secret_key is not None)
            if pair != ((False, False) if self.access_token else (True, True)):
                raise ValueError("needs api_key and secret_key, or access_token in their place")
        # Servers of one's own often ask for no key: only the public address is known to.
        elif self.api_key is None and self.base_url and self.base_url == preset.base_url:
            raise ValueError(f"api_key is required for {self.base_url}")
        return self


class RelaySettings(Section):
    """One relayed answer: its readers, its bound, its way to storage."""

    # okhttp-eventsource gives up after 5 silent seconds; carrier NATs and proxies after 30 to 60.
    heartbeat_seconds: Seconds = 4.0
    # What a crash may cost of an answer, against one write per process and tick.
    checkpoint_seconds: Seconds = 1.0
    # An upstream is never paused, so this bounds its memory. At 4 bytes a character three million
    # still fit MongoDB's 16 MB document, with room for usage and titles.
    max_answer_chars: int = Field(1_000_000, gt=0, le=3_000_000)
    # When the last reader leaves: stop paying at once, or run to the end and store it.
    on_disconnect: Literal["cancel", "finish"] = "cancel"
    # After `Prefer: respond-async` the first reader needs one more round trip, on a phone perhaps
    # with a new connection; who has not come by then is not coming.
    attach_seconds: Seconds = 10.0
    # Who asks under an Idempotency-Key intends to come back: a change of networks takes a phone
    # some seconds, and an EventSource or a library's backoff a few more.
    grace_seconds: Seconds = 15.0
    # A reader whose machine acknowledges nothing for so long, no probe either, is gone: a phone in
    # a tunnel, which comes back and resumes. An hour: the kernel's keepalive counts so far.
    reader_dead_seconds: float = Field(60.0, ge=1, le=3600)
    # A reader that is there and takes nothing for so long is cut. Who takes 500 bytes a second may
    # take none for 100: a machine opens its window again when half of it is free.
    reader_stall_seconds: float = Field(180.0, ge=1, le=86_400)
    # At SIGTERM: most answers are over within it, and supervisors wait for longer (systemd: 90).
    drain_seconds: float = Field(30.0, ge=0, allow_inf_nan=False)
    # How long a silent process counts as alive: longer than any pause of a healthy one, shorter
    # than people wait for an answer that will not go on.
    lease_seconds: Seconds = 30.0

    @model_validator(mode="after")
    def _lease_outlives_ticks(self) -> Self:
        # Else a crash would cost more of an answer than it takes to notice.
        if self.lease_seconds < 3 * self.checkpoint_seconds:
            raise ValueError("lease_seconds should be at least three times checkpoint_seconds")
        return self

    @model_validator(mode="after")
    def _readers_hear_before_they_are_cut(self) -> Self:
        # A sign of life has to be sent within it, and has a second to be acknowledged.
        if self.reader_dead_seconds < self.heartbeat_seconds + 1:
            raise ValueError("reader_dead_seconds should be a second more than heartbeat_seconds")
        return self


class ContextSettings(Section):
    """How much of a conversation goes along with a question."""

    # 15,000 to 60,000 tokens by language: within the 128k window of today's usual models.
    max_chars: Count = 60_000
    # Each hundred are a read of the store: without this, a conversation of thousands of one-letter
    # messages would cost dozens of reads a question.
    max_messages: Count = 200


class TimeoutSettings(Section):
    """How long an upstream may take, by what we are waiting for."""

    connect: Seconds = 10  # DNS, TCP and TLS; a lost SYN is sent again after 1, 3 and 7 seconds
    first_token: Seconds = 60  # long prompts and busy models are slow to begin, and still answer
    idle: Seconds = 60  # between two tokens; reasoning models fall silent for tens of seconds
    answer: Seconds = 600  # the whole: past this nobody is still reading


class UpstreamSettings(Section):
    """The client that calls providers."""

    # About 21 KB each when open: 210 MB. The limit on open files has to allow as many and more.
    max_connections: Count = 10_000


class LimitsSettings(Section):
    """What one request, one user and all of them together may cost. 0 lifts a limit on users."""

    # Held in memory whole. Sixteen times the default context; pictures travel as addresses.
    max_body_bytes: Count = 1_048_576
    # Of all bodies until it is known whose they are, beyond their first 16 KiB each: two hundred of
    # the longest.
    # Connections may be ten thousand, and nobody has shown a key yet.
    max_bodies_bytes: Count = 268_435_456
    # Of all responses that nobody has taken yet, beyond their first 64 KiB each, and of the ended
    # answers that are being read: two hundred of the longest pages. A user has an eighth of it, so
    # that seven of them who read nothing keep nobody out.
    max_unsent_bytes: Count = 268_435_456
    # Browsers stay below 8 KiB, with room for long tokens.
    max_header_bytes: Count = 32_768
    # Apache's own limit; browsers and proxies together send thirty. Each takes 10 µs to read.
    max_headers: Count = 100
    # From its first byte to its empty line. It fits into a few packets, of which some may get lost.
    head_seconds: Seconds = 20.0
    # All of a body: 1 MiB at 17 KB a second, which is a phone at the edge of its network.
    body_seconds: Seconds = 60.0
    # Between requests. Longer than nginx and cloud balancers keep connections to us (60): they
    # should be the ones to hang up, or a request sent in that very moment is lost.
    idle_seconds: Seconds = 75.0
    # Readers', open at a time. Less where the limit on open files wants it: an answer takes one
    # more, to its provider.
    connections: Count = 10_000
    # With the system prompt. What models of 128k tokens take, in English; whatever is longer would
    # be stored, sent and refused there.
    max_question_chars: Count = 400_000
    # Written by this process at a time. A core carries some 500 at reading speed; four times as
    # many still arrive, in larger pieces. More would make all of them late: better some say 503.
    answers: Count = 2_000
    # Of one user at a time, in this process: a person's tabs and devices need a handful, a program
    # of theirs some dozens.
    answers_per_user: Limit = 100
    # Of one user at a time, in this process. As many as answers may be waited for as JSON, and as
    # many again for all else, which takes milliseconds. Streams do not count: they last.
    requests_per_user: Limit = 200
    # The same. A person's tabs need a dozen, and as many again have connections that are dead, and
    # nobody has noticed yet; but a backend may read for all its people as one user. With a tenth of
    # `connections` it takes ten of them to keep others out.
    streams_per_user: Limit = 1_000
    # Of one user at all processes: five a second is no person, and a program gone wild. So many
    # conversations may be made or changed as well; one that brings 10,000 bytes counts as two.
    questions_per_minute: Limit = 300
    # What one user may keep: a thousand for each conversation, and what they put into them. It is
    # a hundred questions a day for fifteen years. Where a program asks for many people by one key,
    # it wants more.
    kept_bytes_per_user: Limit = 268_435_456
    # Of one user at all processes, in and out, until midnight UTC. What a token costs, and who
    # pays for it, only the operator knows.
    tokens_per_day: Limit = 0

    @model_validator(mode="after")
    def _has_room_for_a_body(self) -> Self:
        # Bodies are read up to twice max_body_bytes, to refuse them in words: one has to fit.
        if self.max_bodies_bytes < 2 * self.max_body_bytes:
            raise ValueError("max_bodies_bytes should be at least twice max_body_bytes")
        return self


class MetricsSettings(Section):
    """Where Prometheus finds `/metrics`: on the server's own port, or on one beside it.

    Of processes that share a port each needs one beside it, and each its own. Whoever reaches that
    address may read them: there are no keys, and no words of anybody's in it.
    """

    host: Host = "127.0.0.1"
    port: int | None = Field(None, ge=0, le=65535)  # 0: any free one


class LogSettings(Section):
    """What goes to standard error."""

    # A journal is read by people unless somebody says that a collector reads it.
    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class TracesSettings(Section):
    """OpenTelemetry. Where traces go, and how many, is said by its own variables (`OTEL_…`)."""

    enabled: bool = False


class CorsSettings(Section):
    """Which web pages of other origins may call. None by default: nothing is open unasked."""

    allow_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_words)
    ] = ()


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, case_sensitive=True
    )

    # Or "unix:/path": a socket for this user and its group. "::" is IPv6 and IPv4 both.
    host: Host = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)  # 0: any free one
    # Below which path of a site a proxy has it, such as "/chat", whether it takes that off or not.
    base_path: Annotated[str, AfterValidator(_base_path)] = ""
    reuse_port: bool = False  # several processes on one port: the kernel deals out connections
    default_model: str | None = None  # "<provider>/<model>"; see `effective_default_model`
    storage: StorageSettings = StorageSettings()
    auth: AuthSettings = AuthSettings()
    providers: Mapping[Annotated[str, AfterValidator(_provider_name)], ProviderSettings] = Field(
        {}, validate_default=True
    )
    relay: RelaySettings = RelaySettings()
    context: ContextSettings = ContextSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    limits: LimitsSettings = LimitsSettings()
    cors: CorsSettings = CorsSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()

    @property
    def effective_default_model(self) -> str:
        """The model of a question that names none: as set, else the first provider's first."""
        if self.default_model is not None:
            return self.default_model
        name, provider = next(iter(self.providers.items()))
        return f"{name}/{provider.models[0]}"

    @property
    def most_calls(self) -> int:
        """How many calls to providers there may be at a time: of an answer each."""
        return min(self.limits.answers, self.upstream.max_connections)

    @field_validator("providers", mode="before")
    @classmethod
    def _at_least_the_demo(cls, value: object) -> object:
        """With no provider the demo stands in; a provider named after a dialect speaks it."""
        if not isinstance(value, Mapping):
            return value
        return {
            name: {"dialect": PRESETS[name].dialect, **given}
            if name in PRESETS and isinstance(given, Mapping)
            else given
            for name, given in (value or {"demo": {}}).items()
        }

    @model_validator(mode="after")
    def _default_model_is_served(self) -> Self:
        if self.default_model is not None:
            name, _, model = self.default_model.partition("/")
            if not model:
                raise ValueError("default_model should be written <provider>/<model>")
            if name not in self.providers:
                raise ValueError(
                    f"default_model names the provider {name!r}, but there is only "
                    + ", ".join(self.providers)
                )
        return self

    @model_validator(mode="after")
    def _open_only_to_this_machine(self) -> Self:
        is_private = self.host.startswith(UNIX) or _is_loopback(self.host)
        if self.auth.mode == "none" and not is_private:
            raise ValueError(
                f'auth.mode "none" lets everyone in, so host should be loopback, not {self.host}'
            )
        return self

    @model_validator(mode="after")
    def _metrics_only_to_this_machine(self) -> Self:
        if self.auth.mode == "none" and not _is_loopback(self.metrics.host):
            raise ValueError(
                'auth.mode "none" serves this machine only, so metrics.host should be loopback, '
                f"not {self.metrics.host}"
            )
        return self

    @model_validator(mode="after")
    def _metrics_have_a_port_of_their_own(self) -> Self:
        # Else the server would find its own port taken, and nobody would guess by whom.
        mine, metrics = (self.host, self.port), (self.metrics.host, self.metrics.port)
        if mine == metrics and self.port != 0:
            raise ValueError(
                f"metrics.port should not be the server's own, {self.port}: "
                "leave it unset to have /metrics there"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments and nothing else: `load` is the way to a file and the environment."""
        return (init_settings,)


class _OnlyStorage(BaseSettings):
    """The part of the tree that says where the store is."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    storage: StorageSettings = StorageSettings()


_S = TypeVar("_S", bound=BaseSettings)


def load(config: Path | None, environ: Mapping[str, str]) -> Settings:
    """Build the settings from the file `config` (or the usual one), `environ` and credentials.

    The library's own environment source would pass over unknown variables in silence, so what
    comes by name is made into a tree here; its TOML source and its merging do the rest.
    """
    return _built(Settings, config, environ)


def _built(kind: type[_S], config: Path | None, environ: Mapping[str, str]) -> _S:
    variables = _variables(environ)
    credentials = _credentials(environ)
    path, file = _file(config, environ)
    sources: tuple[PydanticBaseSettingsSource, ...] = (  # the strongest first
        InitSettingsSource(Settings, _tree(credentials)),
        InitSettingsSource(Settings, _tree(variables)),
        file,
        _VendorKeys(Settings, environ),
    )
    try:
        return kind(_build_sources=(sources, {}))
    except ValidationError as error:
        origins = {named: name for name, named, _ in (*variables, *credentials)}
        written = _Written(path, file())
        found = "; ".join(_complaint(details, origins, written) for details in error.errors())
        raise SettingsError(" ".join(found.split())) from error  # a name may hold a line end


def load_storage(config: Path | None, environ: Mapping[str, str]) -> StorageSettings:
    """Where the store is, for commands that need nothing else: the rest is not even looked at.

    Secrets often are the service's own, out of reach of the operator's shell.
    """
    return _built(_OnlyStorage, config, environ).storage


def describe(settings: Settings) -> str:
    """The effective settings as TOML text, secrets masked."""
    return "\n".join(_toml(settings, ())).strip() + "\n"


def masked(url: str) -> str:
    """An address as it may be shown: without the password in it."""
    url = re.sub(r"://([^:/?#@]*):.*@", rf"://\1:{MASK}@", url)
    return re.sub(r"(?i)((?:password|properties)=)[^&#]*", rf"\1{MASK}", url)  # MongoDB's options


# One value that came by name: the name as the user wrote it, the path of the setting, the text.
_Named = tuple[str, tuple[str, ...], str]


def _variables(environ: Mapping[str, str]) -> list[_Named]:
    links = service_links(environ, PREFIX)
    return [
        (name, tuple(name.removeprefix(PREFIX).lower().split("__")), value)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX)
        and name not in links
        and name != "HEADRACE_CONFIG"
        and not name.startswith("HEADRACE_TEST_")
    ]


def _credentials(environ: Mapping[str, str]) -> list[_Named]:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return []
    try:
        files = [
            file
            for file in sorted(Path(directory).iterdir())
            if file.is_file() and not file.name.startswith(".")
        ]
    except OSError as error:
        raise SettingsError(
            f"cannot read the credentials in {directory}: {error.strerror}"
        ) from error
    return [_credential(file) for file in files]


def _credential(file: Path) -> _Named:
    name = file.name.removeprefix(CREDENTIAL_PREFIX)
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read the credential {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the credential {file} is not UTF-8 text") from error
    return f"credential {name} (in {file})", tuple(name.split(".")), text.strip()


def _tree(named: Iterable[_Named]) -> dict[str, Any]:
    """Nest values by their paths, so that a path that leads nowhere is seen as such."""
    tree: dict[str, Any] = {}
    for name, path, value in named:
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise SettingsError(f"{name}: {part} is set as a value already")
        branch[path[-1]] = value
    return tree


def _file(
    config: Path | None, environ: Mapping[str, str]
) -> tuple[Path, PydanticBaseSettingsSource]:
    """The settings file, whether or not it is there, and what it says."""
    named = config or (Path(name) if (name := environ.get("HEADRACE_CONFIG")) else None)
    path = named or DEFAULT_FILE
    try:
        if named is not None and not named.is_file():
            raise SettingsError(f"there is no settings file {named}")
        return path, TomlConfigSettingsSource(Settings, toml_file=path)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # tomllib says where, not what stands there
        raise SettingsError(f"{path} is not TOML: {error}") from error


class _VendorKeys(PydanticBaseSettingsSource):
    """Keys under the vendors' own names. They switch a provider on, or fill in its missing key."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, "", False  # the library asks for this method, and calls it of other sources

    def __call__(self) -> dict[str, Any]:
        configured = self.current_state.get("providers", {})
        if not isinstance(configured, dict):
            return {}
        # Named here too, so that they keep their place before ours: the first one is the default.
        providers: dict[str, Any] = {name: {} for name in configured}
        for name, variables in _KEY_VARIABLES:
            keys = {each: self._environ[each] for each in variables if self._environ.get(each)}
            if not keys:
                continue
            if missing := sorted(variables.keys() - keys.keys()):
                raise SettingsError(f"{', '.join(keys)} is set, but {missing[0]} is not")
            theirs = configured.get(name, {})
            if _takes_keys(theirs, PRESETS[name].dialect):
                providers[name] = {variables[each]: value for each, value in keys.items()}
        return {"providers": providers} if providers else {}


def _takes_keys(configured: object, dialect: str) -> bool:
    """Whether a provider as configured is the one a vendor's key belongs to, and has none."""
    return (
        isinstance(configured, dict)
        and configured.get("dialect", dialect) == dialect
        and not configured.keys() & {"api_key", "secret_key", "access_token"}
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Written(NamedTuple):
    """What the settings file says."""

    file: Path
    tree: Mapping[str, Any]

    def has(self, path: tuple[str, ...]) -> bool:
        """Whether there is anything at `path`."""
        found: Any = self.tree
        for part in path:
            if isinstance(found, list) and part.isdecimal():
                return True
            if not isinstance(found, Mapping) or part not in found:
                return False
            found = found[part]
        return True


def _complaint(
    details: ErrorDetails, origins: Mapping[tuple[str, ...], str], written: _Written
) -> str:
    """One of pydantic's errors in our words: the setting, by the name its user gave it, and why.

    What the file says is told with the file: it may not be the one that the operator looks at.
    """
    path = tuple(str(part) for part in details["loc"] if part != "[key]")
    match details["type"]:
        case "value_error":  # a validator's of ours: about this very path, or a table as a whole
            problem = str(details["ctx"]["error"])
            of_its_table = (*path, *problem.split(" ")[0].split("."))
            listed = path[:-1] if path and path[-1].isdecimal() else path  # a variable has it whole
            name = origins.get(path) or origins.get(of_its_table) or origins.get(listed)
            if name is None and (written.has(of_its_table) or (path and written.has(path))):
                problem = f"{problem} (in {written.file})"
            return _named(name or ".".join(path), problem)
        case "extra_forbidden":
            problem = "unknown setting"
        case "missing":
            problem = "is required"
        case "model_type" | "model_attributes_type" | "dict_type":
            problem = "is a table of settings, not a value"
        case _:
            problem = details["msg"].removeprefix("Input ")
    # A variable may name something beneath the place that is wrong, or the table around it.
    near = (name for known, name in origins.items() if known[: len(path)] == path[: len(known)])
    name = next(near, None)
    table = path[:-1] if details["type"] == "missing" else path
    if name is None and table and written.has(table):
        problem = f"{problem} (in {written.file})"
    return _named(name or ".".join(path), problem)


def _named(name: str, problem: str) -> str:
    return f"{name}: {problem}" if name else problem


def _toml(table: Any, path: tuple[str, ...]) -> list[str]:
    """One table as lines, its plain values before the tables within it, as TOML wants them."""
    items = dict(table)
    if isinstance(table, Settings):
        items["default_model"] = table.effective_default_model
    lines = ["", f"[{'.'.join(path)}]"] if path and isinstance(table, BaseModel) else []
    inner: list[str] = []
    for name, value in items.items():
        if isinstance(value, BaseModel | Mapping):
            inner += _toml(value, (*path, name))
        elif value is not None:
            lines.append(f"{name} = {_toml_value(value)}")
    return lines + inner


def _toml_value(value: object) -> str:
    if isinstance(value, SecretStr):
        return f'"{MASK}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(masked(str(value)), ensure_ascii=False).replace("\x7f", "\\u007f")
