"""SQLite files as a server could have left them: large ones, and damaged ones."""

import sqlite3
from contextlib import closing
from pathlib import Path

from storage.sqlite.tables import MIGRATIONS, NEWEST


def filled(file: Path, megabytes: int) -> None:
    """Have a file so large that whatever looks through it takes its time."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.executescript(f"{''.join(MIGRATIONS)} PRAGMA user_version = {NEWEST};")
        database.execute(
            """INSERT INTO conversations (id, user, metadata, created_at, updated_at)
            VALUES ('c', 'nobody', '{}', 0, 0)"""
        )
        database.execute(
            """WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers LIMIT ?)
            INSERT INTO messages (id, conversation_id, user, role, ordinal, blocks, status,
                created_at)
            SELECT 'c-' || n, 'c', 'nobody', 'user', n,
                '[{"type": "text", "text": "' || hex(randomblob(5000)) || '"}]', 'complete', 0
            FROM numbers""",
            (100 * megabytes,),
        )


def damaged(file: Path, *, at: int) -> None:
    """Have some pages from `at` on (a place in the file) hold rubbish."""
    with file.open("r+b") as pages:
        pages.seek(at)
        pages.write(b"\x5a" * 16384)
