"""Starts the HTTP gateway that TensorZero's wheel brings: `tensorzero_gateway.py CONFIG`.

It chooses its port itself, which is printed. Without a database, so it stores nothing.
"""

import signal
import sys
from urllib.parse import urlsplit

import tensorzero

gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1],
    clickhouse_url=None,
    postgres_url=None,
    valkey_url=None,
    async_setup=False,
)
print(urlsplit(gateway.base_url).port, flush=True)
signal.sigwait([signal.SIGTERM])
