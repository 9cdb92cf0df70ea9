"""Types of single values, and the base class of sections."""

import re
import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

# The length of 128 random bits in hexadecimal, which cannot be found by trying tickets.
SECRET_CHARS = 32

# Characters of values that are sent in a header or a request line, where a line end would be an
# attack or a mistake.
PRINTABLE = re.compile(r"[!-~]+")


def _secret(value: SecretStr) -> SecretStr:
    if not PRINTABLE.fullmatch(value.get_secret_value()):
        raise ValueError("should be printable ASCII without spaces")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SECRET_CHARS:
        raise ValueError(f"should have at least {SECRET_CHARS} characters")
    return value


def _ca_file(path: Path) -> Path:
    # It is read at the start: otherwise every question would fail without an obvious reason.
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:  # SSLError is an OSError, too
        raise ValueError(f"{path} contains no certificates in PEM format") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    return path


def _provider_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise ValueError("a provider's name should consist of a-z, 0-9, - and _")
    return text


def _keep_alive(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,9}|-?([0-9]{1,9}(\.[0-9]+)?(ms|s|m|h))+", text):
        raise ValueError('should be a number of seconds, a time such as "30m", or -1 for ever')
    return text


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


def _split_at_commas(value: object) -> object:
    """Split a string at commas, since an environment variable cannot contain a list."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
Limit = Annotated[int, Field(ge=0)]  # 0: unlimited
Word = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
SigningSecret = Annotated[Secret, AfterValidator(_long_enough)]
CaFile = Annotated[Path, AfterValidator(_ca_file)]
KeepAlive = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_keep_alive)]
CommaSeparated = BeforeValidator(_split_at_commas)
ProviderName = Annotated[str, AfterValidator(_provider_name)]


class Section(BaseModel):
    """One table of the settings file; it is immutable and rejects unknown settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
