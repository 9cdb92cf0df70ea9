"""How the relay stands at this moment, for whoever watches it: read when asked, never counted."""

import msgspec


class RelayStats(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the relay of this process."""

    live: int  # answers that run, or are being ended
    followed: int  # answers of other processes that are read here
    unsent_bytes: int  # held for readers, beyond what is free
    unsaved_chars: int  # what live answers have grown beyond what is stored of them
    unsaved_seconds: float  # for how long something of that has been waiting, at most
    late_endings: int  # endings that readers were told, and the store has not taken yet
    holds_lease: bool  # nobody can take this process for dead
