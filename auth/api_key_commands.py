"""The operator's commands for API keys: create, list and revoke, on the store itself.

They call no server. A running server notices changes when it rechecks the keys it has cached.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from auth import api_keys
from auth.principal import MAX_USER_CHARS, is_user_name
from model.messages import now
from storage.contract import ApiKeyStore
from storage.errors import NotFound
from storage.values import ApiKey

# Keys read from the store at a time while all are listed.
_PAGE = 1000

_COLUMNS = ["ID", "USER", "ADMIN", "CREATED", "EXPIRES", "REVOKED", "MODELS", "NOTE"]

_MAX_DAYS = 36_500
_MAX_NOTE_CHARS = 200

# Every question's model is compared with each of them.
_MAX_MODELS = 100
_MODEL = re.compile(r"[!-~]{1,256}")


class CannotManage(Exception):
    """A command cannot be carried out; the message is one line for the operator."""


class CommandOutput(NamedTuple):
    """The output of a command: its result for stdout, and a remark for stderr."""

    result: str
    remark: str


async def create(
    storage: ApiKeyStore,
    *,
    user: str,
    admin: bool,
    note: str,
    days: int | None,
    models: str | None,
) -> CommandOutput:
    """Create a key; the result is the key, which is not shown again. Raises CannotManage."""
    if not is_user_name(user):
        raise CannotManage(
            f"--user: a name is 1 to {MAX_USER_CHARS} characters without control characters"
        )
    if note and (len(note) > _MAX_NOTE_CHARS or not is_user_name(note)):
        raise CannotManage(
            f"--note: at most {_MAX_NOTE_CHARS} characters without control characters"
        )
    if days is not None and not 0 < days <= _MAX_DAYS:
        raise CannotManage(f"--days: from 1 to {_MAX_DAYS}")
    may_ask = None if models is None else _patterns(models)
    made = api_keys.make()
    created_at = now()
    key = ApiKey(
        id=made.id,
        digest=api_keys.digest(made.text),
        user=user,
        admin=admin,
        note=note,
        created_at=created_at,
        expires_at=None if days is None else created_at + timedelta(days=days),
        models=may_ask,
    )
    await storage.create_api_key(key)
    until = "until it is revoked" if key.expires_at is None else f"until {_time(key.expires_at)}"
    whose = f"{user}, an admin" if admin else user
    what = "" if may_ask is None else f" for {_listed(may_ask)}"
    return CommandOutput(
        made.text, f"Key {made.id} of {whose}{what}, valid {until}. It is not shown again."
    )


async def list_keys(storage: ApiKeyStore, user: str | None) -> CommandOutput:
    """List all keys, or those of a user, one line each, without their secrets."""
    found = sorted(await _all(storage, user), key=lambda key: (key.user, key.created_at))
    rows = [_COLUMNS, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return CommandOutput("\n".join(lines), f"{_keys(len(found))}.")


async def revoke(storage: ApiKeyStore, named: Iterable[str], user: str | None) -> CommandOutput:
    """Revoke the named keys, by id or by key, or all keys of `user`. Raises CannotManage."""
    ids = [_id(text) for text in named]
    if user is not None:
        ids += [key.id for key in await _all(storage, user) if key.revoked_at is None]
    lines, missing = [], []
    for api_key_id in ids:  # valid ones are revoked although another is not: it may be urgent
        try:
            key = await storage.revoke_api_key(api_key_id, now())
        except NotFound:
            missing.append(api_key_id)
        else:
            lines.append(f"{key.id} of {key.user}")
    if missing:
        revoked = f"; revoked: {', '.join(lines)}" if lines else ""
        raise CannotManage(f"there is no key {', '.join(missing)}{revoked}")
    remark = f"{_keys(len(lines))} revoked; requests that use them are closed within seconds."
    return CommandOutput("\n".join(lines), remark)


async def _all(storage: ApiKeyStore, user: str | None) -> list[ApiKey]:
    found: list[ApiKey] = []
    after = None
    while True:
        page = await storage.list_api_keys(user, limit=_PAGE, after=after)
        found += page.data
        if page.next is None:
            return found
        after = page.next


def _patterns(text: str) -> tuple[str, ...]:
    """The model patterns of `--models`. Raises CannotManage."""
    patterns = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    # A model is named <provider>/<model>: a pattern without a slash matches nothing unless it has a
    # star.
    usable = (_MODEL.fullmatch(each) and ("/" in each or "*" in each) for each in patterns)
    if len(patterns) > _MAX_MODELS or not all(usable):
        raise CannotManage(
            f"--models: up to {_MAX_MODELS} of <provider>/<model> or <provider>/*, with commas"
        )
    return patterns


def _listed(patterns: Iterable[str]) -> str:
    return ",".join(patterns)


def _id(text: str) -> str:
    api_key_id = api_keys.parse_id(text)
    if api_key_id is None:  # not repeated: it may be most of a key
        raise CannotManage("a key is named by its id, as list-keys shows it")
    return api_key_id


def _row(key: ApiKey) -> list[str]:
    return [
        key.id,
        key.user,
        "yes" if key.admin else "",
        _time(key.created_at),
        "" if key.expires_at is None else _time(key.expires_at),
        "" if key.revoked_at is None else _time(key.revoked_at),
        "" if key.models is None else _listed(key.models),
        key.note,
    ]


def _keys(count: int) -> str:
    return "1 key" if count == 1 else f"{count} keys"


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ")
