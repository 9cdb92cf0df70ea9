"""What single values may be, and the table that they stand in."""

import re
import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

# As many as 128 random bits have in hex: nobody finds those by trying tickets.
SECRET_CHARS = 32

# Of what travels in a header or a request line: a line end in it would be an attack or a riddle.
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
    # Looked into at the start: else every question would fail, and nobody would see why.
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:  # an OSError, too
        raise ValueError(f"{path} holds no certificates in PEM") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    return path


def _provider_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise ValueError("a provider's name is made of a-z, 0-9, - and _")
    return text


def _split_at_commas(value: object) -> object:
    """Let a variable, which is always one string, hold a list."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
Limit = Annotated[int, Field(ge=0)]  # 0: none
Word = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
SigningSecret = Annotated[Secret, AfterValidator(_long_enough)]
CaFile = Annotated[Path, AfterValidator(_ca_file)]
CommaSeparated = BeforeValidator(_split_at_commas)
ProviderName = Annotated[str, AfterValidator(_provider_name)]


class Section(BaseModel):
    """One table of the file: it cannot be changed, and knows no other names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
