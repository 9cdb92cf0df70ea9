"""An identity provider as tests need it: it signs tokens, publishes keys, and can be away.

Fixture: `issuer`, on loopback.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tornado.ioloop import IOLoop

ISSUER = "https://id.example.org/"
AUDIENCE = "headrace"

# Made once: a key of this size takes a tenth of a second.
_RSA = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
_EC = ec.generate_private_key(ec.SECP256R1())
_ED = ed25519.Ed25519PrivateKey.generate()


class Issuer:
    """Publishes what is in `published`; `status` is what it answers."""

    def __init__(self) -> None:
        self.private: dict[str, Any] = {"rsa": _RSA[0], "next": _RSA[1], "ec": _EC, "ed": _ED}
        self.published: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.fetches = 0
        self.url = ""
        self.hold: asyncio.Event | None = None
        self._server: asyncio.Server | None = None
        self.publish("rsa", "ec", "ed")

    def publish(self, *kids: str, **fields: Any) -> None:
        """Have the set hold these keys and no others."""
        self.published = {kid: {**self.public(kid), "kid": kid, **fields} for kid in kids}

    def public(self, kid: str) -> dict[str, Any]:
        """A key as it is published."""
        public = self.private[kid].public_key()
        if isinstance(public, rsa.RSAPublicKey):
            return RSAAlgorithm.to_jwk(public, as_dict=True)
        if isinstance(public, ec.EllipticCurvePublicKey):
            return ECAlgorithm.to_jwk(public, as_dict=True)
        return OKPAlgorithm.to_jwk(public, as_dict=True)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a good token says; None leaves a claim out."""
        at = int(time.time())
        said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": at, "exp": at + 600}
        return {name: value for name, value in (said | changed).items() if value is not None}

    def token(
        self,
        kid: str = "rsa",
        algorithm: str = "RS256",
        *,
        headers: dict[str, Any] | None = None,
        **changed: Any,
    ) -> str:
        """A token, signed."""
        return jwt.encode(
            self.claims(**changed),
            self.private[kid],
            algorithm,
            headers={"kid": kid} if headers is None else headers,
        )

    def settings(self, **jwt_settings: Any) -> dict[str, Any]:
        """`auth` as it is set for this issuer."""
        rules = {
            "issuer": ISSUER,
            "audience": [AUDIENCE],
            "algorithms": ["RS256", "ES256", "EdDSA"],
            "jwks_url": f"{self.url}/keys",
            **jwt_settings,
        }
        return {"mode": "jwt", "secret": "s" * 32, "jwt": rules}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Be away: nobody listens any more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _answer(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await stream.readuntil(b"\r\n\r\n")
            self.fetches += 1
            if self.hold is not None:
                await self.hold.wait()
            body = json.dumps({"keys": list(self.published.values())}).encode()
            head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\n"
            more = "Location: /elsewhere\r\n" if 300 <= self.status < 400 else ""
            writer.write(f"{head}{more}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        finally:
            writer.close()


@pytest.fixture
def issuer(io_loop: IOLoop) -> Iterator[Issuer]:
    made = Issuer()
    io_loop.run_sync(made.start)
    yield made
    io_loop.run_sync(made.stop)
