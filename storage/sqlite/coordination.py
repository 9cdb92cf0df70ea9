"""What processes know of each other: with SQLite there is only one, so this is hardly anything.

The lock on the file (`lock.py`) serves as the lease: the kernel releases it when the process ends
in whatever way, so the process that has it knows that the owners of all other live answers are
dead.
"""

from collections.abc import Collection, Mapping

from model.messages import Message, Status
from storage.contract import CoordinationStore
from storage.pages import ORPHANS, messages_page_builder
from storage.sqlite.connection import reads
from storage.sqlite.live_answers import SQLiteLiveAnswers
from storage.sqlite.messages import MESSAGE
from storage.sqlite.rows import chunk_in, message_in
from storage.values import AnswerUpdates, PeerRequests


class SQLiteCoordination(SQLiteLiveAnswers, CoordinationStore):
    """The contract's part for several processes, where there is only one."""

    async def renew_lease(self, requests: Mapping[str, PeerRequests]) -> bool:
        """Return True: the lock on the file is the lease, and is held while the process lives."""
        return True

    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        """Return nothing: no other process reads the store."""
        return frozenset()

    async def peer_requests(self) -> PeerRequests:
        """Return none: there are no other processes."""
        return PeerRequests()

    @reads("relay")
    def answer_updates(self, positions: Mapping[str, int]) -> AnswerUpdates:
        chunks, ended, gone = [], [], set()
        for answer_id, position in positions.items():
            row = self._fetch_row(MESSAGE, answer_id)
            if row is None:
                gone.add(answer_id)
                continue
            found = self._fetch_row(
                "SELECT * FROM chunks WHERE answer_id = ? AND position = ?", answer_id, position
            )
            if found and (chunk := chunk_in(found)):
                chunks.append(chunk)
            elif row["status"] != Status.LIVE:
                ended.append(message_in(row))
        return AnswerUpdates(tuple(chunks), tuple(ended), frozenset(gone))

    @reads("relay")
    def own_live_answers(self) -> frozenset[str]:
        found = self._database.execute(
            "SELECT id FROM messages WHERE status = 'live' AND owner = ?", (self.process,)
        )
        return frozenset(row["id"] for row in found)

    @reads("relay")
    def orphans(self) -> list[Message]:
        found = self._database.execute(
            "SELECT * FROM messages WHERE status = 'live' AND owner IS NOT ? LIMIT ?",
            (self.process, ORPHANS),
        )
        page = messages_page_builder(ORPHANS)
        page.add_all(self._with_stored_chunks(message_in(row)) for row in found)
        return page.found
