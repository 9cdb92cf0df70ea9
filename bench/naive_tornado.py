"""The least that relays a stream with Tornado: `naive_tornado.py PORT BASE_URL`.

It parses nothing, stores nothing, and notices neither clients that have left nor slow ones.
"""

import asyncio
import sys

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.web import Application, RequestHandler


class Completions(RequestHandler):
    """Passes each chunk of the upstream's response on as it arrives."""

    async def post(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        request = HTTPRequest(
            f"{sys.argv[2]}/chat/completions",
            method="POST",
            body=self.request.body,
            headers={"Content-Type": "application/json"},
            streaming_callback=self._relay,
            request_timeout=0,
        )
        await AsyncHTTPClient().fetch(request)

    def _relay(self, chunk: bytes) -> None:
        self.write(chunk)
        self.flush()


async def main() -> None:
    """Serve until the process is ended."""
    AsyncHTTPClient.configure(None, max_clients=20_000)
    application = Application([("/v1/chat/completions", Completions)], log_function=lambda _: None)
    application.listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
