"""The state of the relay at one moment, for metrics and systemd: read on demand, never counted."""

import msgspec


class RelayStats(msgspec.Struct, frozen=True, kw_only=True):
    """The state of this process' relay at one moment."""

    live: int  # live answers, including those that are being ended
    followed: int  # answers of other processes that are read here
    unsent_bytes: int  # bytes that wait to be read, beyond what is free
    unsaved_chars: int  # characters of live answers that are not stored
    unsaved_seconds: float  # the longest time for which some of them have waited
    late_endings: int  # endings that readers have got and the store has not
    pace_seconds: float  # for how long tokens are held to be written together; 0 if they are not
    holds_lease: bool  # whether no other process can declare this one dead
