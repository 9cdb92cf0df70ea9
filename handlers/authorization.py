"""What an authenticated request may do: use a route, and act for another user."""

import logging
from contextlib import suppress
from enum import Enum
from http import HTTPStatus

from msgspec import structs
from tornado.httputil import HTTPServerRequest

from auth.principal import Principal, is_user_name
from handlers.errors import ApiError
from handlers.single_header import RepeatedHeader, single_header
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.http")


class Access(Enum):
    """Who may use a route: users, unless its handler says otherwise."""

    EVERYBODY = "everybody"  # shows no user's data: health checks, the page's own files
    USERS = "users"
    ADMINS = "admins"


def check_access(principal: Principal, access: Access) -> None:
    """Return if the principal may use a route with this access. Raises ApiError 403."""
    if access is Access.ADMINS and not principal.admin:
        raise _admin_only()


def acting_principal(
    principal: Principal, request: HTTPServerRequest, request_id: str
) -> Principal:
    """The principal to act as: an admin may name another user in `Headrace-User`."""
    if "Headrace-User" not in request.headers:
        return principal
    if not principal.admin:
        raise _admin_only()
    with suppress(UnicodeError, RepeatedHeader):
        text = single_header(request, "Headrace-User") or ""
        named = text.encode("latin-1").decode()  # the bytes of headers are UTF-8 in this API
        if is_user_name(named):
            log.info(
                LogEvent(
                    "admin asks for another user",
                    request=request_id,
                    key=principal.api_key_id,
                )
            )
            return structs.replace(principal, user=named)
    raise ApiError(
        HTTPStatus.BAD_REQUEST,
        "invalid_user",
        "Headrace-User must be sent once, with a user's name of 1 to 256 characters, without "
        "control characters.",
    )


def _admin_only() -> ApiError:
    return ApiError(
        HTTPStatus.FORBIDDEN, "admin_only", "This request needs an admin's API key or token."
    )
